"""PyTorch samplers that stop after any batch and continue exactly."""

from typing import TypeAlias

from resumable.samplers.agreement import check_agreement
from resumable.samplers.batches import ResumableBatchSampler
from resumable.samplers.checkpoint import as_dcp
from resumable.samplers.distributed import ResumableDistributedSampler
from resumable.samplers.elastic import ResumableElasticSampler
from resumable.samplers.errors import (
    AgreementError,
    DuplicateSamplerError,
    OrderLawError,
    PositionUnknownError,
    SamplerError,
    StateFormatError,
    StateMismatchError,
    UnknownSamplerError,
)
from resumable.samplers.groups import Groups, PackedDataset, Packs, TokenBatches
from resumable.samplers.joint import joint_state
from resumable.samplers.loader import ResumableDataLoader
from resumable.samplers.orders import Blocks, Endless, Mixture, Order
from resumable.samplers.planning import plan
from resumable.samplers.registry import SAMPLER_REGISTRY, SamplerRegistry, create_sampler
from resumable.samplers.sampler import ResumableSampler
from resumable.samplers.seeded import SeededDataset
from resumable.samplers.selective import ResumableSubsetSampler, ResumableWeightedSampler
from resumable.samplers.single import ResumableRandomSampler, ResumableSequentialSampler
from resumable.samplers.state import SamplerState

ResumableSamplerType: TypeAlias = ResumableSampler
"""What `create_sampler` returns: the base of all of them."""

__all__ = [
    "SAMPLER_REGISTRY",
    "AgreementError",
    "Blocks",
    "DuplicateSamplerError",
    "Endless",
    "Groups",
    "Mixture",
    "Order",
    "OrderLawError",
    "PackedDataset",
    "Packs",
    "PositionUnknownError",
    "ResumableBatchSampler",
    "ResumableDataLoader",
    "ResumableDistributedSampler",
    "ResumableElasticSampler",
    "ResumableRandomSampler",
    "ResumableSampler",
    "ResumableSamplerType",
    "ResumableSequentialSampler",
    "ResumableSubsetSampler",
    "ResumableWeightedSampler",
    "SamplerError",
    "SamplerRegistry",
    "SamplerState",
    "SeededDataset",
    "StateFormatError",
    "StateMismatchError",
    "TokenBatches",
    "UnknownSamplerError",
    "as_dcp",
    "check_agreement",
    "create_sampler",
    "joint_state",
    "plan",
]
