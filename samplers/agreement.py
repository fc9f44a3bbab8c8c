"""Do all ranks stand at the same place, and does each read a part of its own?"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import torch.distributed as dist

from resumable.samplers.batches import ResumableBatchSampler
from resumable.samplers.checkpoint import Resumable
from resumable.samplers.errors import AgreementError
from resumable.samplers.loader import ResumableDataLoader
from resumable.samplers.sampler import ResumableSampler, progress_of
from resumable.samplers.state import SamplerState


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank tells the others of its sampler."""

    state: SamplerState
    rank: int
    """The rank that the sampler deals to."""
    first_epoch: str
    """Digest of the order of epoch 0: ranks that stand in different epochs can be compared by it."""


def check_agreement(
    sampler: Resumable, *, group: dist.ProcessGroup | None = None, on_torn: Literal["raise", "earliest"] = "raise"
) -> None:
    """Compare epoch, position, stream and shares over all ranks.

    Call it on each rank, after loading a state and before the epoch's number is set and the first batch is drawn.
    If a job was killed between two ranks' saves, or one rank loaded a different file, ranks stand at different places.
    Samples are then lost or trained on twice, and nothing fails. Nor does it where two ranks read the same share.

    Args:
        sampler: A sampler, batch sampler or loader. With `on_torn="earliest"` its position may be changed.
        group: Process group whose ranks share the data, one share each; the default one if None. Where several ranks
            hold parts of one model, it is the group of data-parallel ranks.
        on_torn: `"raise"` refuses different positions; `"earliest"` goes on at the earliest of them, on all ranks:
            samples behind it are trained on again by the ranks that were ahead. Different streams are always refused.

    Raises:
        AgreementError: ranks disagree; the message tells which rank stands where.
        ValueError: `on_torn` is neither of the two.
    """
    if on_torn not in {"raise", "earliest"}:
        raise ValueError(f'on_torn={on_torn!r}: expected "raise" or "earliest"')
    texts: list[bytes] = [b""] * dist.get_world_size(group)
    dist.all_gather_object(texts, msgspec.json.encode(_standing(sampler)), group=group)
    standings = [msgspec.json.decode(text, type=Standing) for text in texts]
    chosen = agreed(standings, on_torn=on_torn)
    mine = standings[dist.get_rank(group)].state
    if _place(chosen) != _place(mine):
        sampler.load_state_dict(chosen.to_dict())


def agreed(standings: Sequence[Standing], *, on_torn: Literal["raise", "earliest"]) -> SamplerState:
    """Return the state at which all ranks can go on: any of equal ones, or the earliest.

    Args:
        standings: One a rank, in the order of ranks in their group.
        on_torn: What to do about different positions.

    Raises:
        AgreementError: streams, layouts or data differ, shares are read twice or by nobody, or the positions differ and
            `on_torn` is `"raise"`.
    """
    first = standings[0]
    for rank, standing in enumerate(standings):
        differing = list(_differences(first, standing))
        if differing:
            raise AgreementError(f"rank 0 and rank {rank} read different data: " + "; ".join(differing))
    _check_shares(standings)
    places = [_place(standing.state) for standing in standings]
    if any(place != places[0] for place in places) and on_torn == "raise":
        told = ", ".join(
            f"rank {rank} in epoch {epoch} at sample {place}"
            + (f" with {finished} finished behind it" if finished else "")
            for rank, (epoch, place, finished) in enumerate(places)
        )
        raise AgreementError(f"the ranks stand at different places: {told}; was a save torn between ranks?")
    return standings[places.index(min(places))].state


def bare(sampler: Resumable) -> ResumableSampler:
    """Return the sampler itself, out of what is around it."""
    return sampler.sampler if isinstance(sampler, ResumableBatchSampler | ResumableDataLoader) else sampler


def _standing(sampler: Resumable) -> Standing:
    config = progress_of(bare(sampler)).config
    return Standing(
        state=SamplerState.from_dict(sampler.state_dict()), rank=config.rank, first_epoch=config.order_digest(0)
    )


def _place(state: SamplerState) -> tuple[int, int, list[list[int]]]:
    return state.epoch, state.consumed, state.finished


def _differences(ours: Standing, theirs: Standing) -> Iterator[str]:
    # The order's digest in a state belongs to an epoch: ranks in different ones differ in it rightly.
    fingerprint = msgspec.structs.replace(ours.state.fingerprint, order=theirs.state.fingerprint.order)
    in_one_epoch = ours.state.epoch == theirs.state.epoch
    compared = ours.state if in_one_epoch else msgspec.structs.replace(ours.state, fingerprint=fingerprint)
    found = [f"{name}: {mine!r} against {other!r}" for name, mine, other in compared.differences(theirs.state)]
    yield from found
    if not found and ours.first_epoch != theirs.first_epoch:
        yield f"fingerprint.order of epoch 0: {ours.first_epoch!r} against {theirs.first_epoch!r}"
    if ours.state.layout != theirs.state.layout:
        yield f"{ours.state.layout} against {theirs.state.layout}"


def _check_shares(standings: Sequence[Standing]) -> None:
    num_replicas, num_ranks = standings[0].state.layout.num_replicas, len(standings)
    advice = (
        "make it a ResumableDistributedSampler without num_replicas and rank, or pass the group that shares the data"
    )
    if num_replicas != num_ranks:
        raise AgreementError(
            f"the samplers deal to {num_replicas} ranks, but {num_ranks} are in the process group: samples would be read "
            f"twice or never; {advice}"
        )
    shares = [standing.rank for standing in standings]
    if sorted(shares) != list(range(num_ranks)):
        told = ", ".join(f"rank {rank} has share {share}" for rank, share in enumerate(shares))
        raise AgreementError(f"some share is read twice, and some by nobody: {told}; {advice}")
