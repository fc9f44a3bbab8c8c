"""Groups: ways to cut the stream of samples into batches or sequences of their own sizes, one module each."""

from resumable.samplers.groups.group_stream import GroupStream
from resumable.samplers.groups.groups import Groups
from resumable.samplers.groups.lengths import Lengths
from resumable.samplers.groups.packs import PackedDataset, Packs
from resumable.samplers.groups.token_batches import TokenBatches

__all__ = ["GroupStream", "Groups", "Lengths", "PackedDataset", "Packs", "TokenBatches"]
