"""PyTorch samplers that stop after any batch and continue exactly."""

from samplers.agreement import check_agreement
from samplers.batches import ResumableBatchSampler
from samplers.checkpoint import as_dcp
from samplers.distributed import ResumableDistributedSampler
from samplers.errors import (
    AgreementError,
    DuplicateSamplerError,
    SamplerError,
    StateFormatError,
    StateMismatchError,
    UnknownSamplerError,
)
from samplers.loader import ResumableDataLoader
from samplers.registry import SAMPLER_REGISTRY, SamplerRegistry, create_sampler
from samplers.sampler import ResumableSampler
from samplers.seeded import SeededDataset
from samplers.selective import ResumableSubsetSampler, ResumableWeightedSampler
from samplers.single import ResumableRandomSampler, ResumableSequentialSampler
from samplers.state import SamplerState

ResumableSamplerType = (
    ResumableRandomSampler
    | ResumableSequentialSampler
    | ResumableDistributedSampler
    | ResumableSubsetSampler
    | ResumableWeightedSampler
    | ResumableSampler
)
"""What `create_sampler` returns."""

__all__ = [
    "SAMPLER_REGISTRY",
    "AgreementError",
    "DuplicateSamplerError",
    "ResumableBatchSampler",
    "ResumableDataLoader",
    "ResumableDistributedSampler",
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
    "UnknownSamplerError",
    "as_dcp",
    "check_agreement",
    "create_sampler",
]
