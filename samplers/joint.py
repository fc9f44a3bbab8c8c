"""The state of a job whose ranks finish samples each in an order of its own."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import torch.distributed as dist

from resumable.samplers.agreement import Standing, agreed, bare
from resumable.samplers.checkpoint import Resumable
from resumable.samplers.finished import Finished
from resumable.samplers.sampler import ResumableSampler, progress_of
from resumable.samplers.state import SamplerState


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank has committed."""

    began: Standing
    """Where its pass began."""
    rows: tuple[tuple[int, int], ...]
    """Which of its items from there on are finished, as half-open runs."""


def joint_state(sampler: Resumable | Sequence[Resumable], *, group: dist.ProcessGroup | None = None) -> dict[str, Any]:
    """Return one state for all ranks, of which each has committed samples in an order of its own.

    Where ranks train in step, each `state_dict()` is that of the job. Where they do not, as in a loop that takes samples as
    they come back, only all of them together know what is left. The state loads as any other, on any number of ranks.

    Args:
        sampler: This rank's sampler, batch sampler or loader: all ranks of the group call it, and all get the same state.
            Or those of all ranks, where one process deals to them.
        group: Process group whose ranks share the data, one share each; the default one if None.

    Raises:
        AgreementError: ranks are in different epochs, began at different places, or read different data or the same share.
    """
    if isinstance(sampler, Sequence):
        samplers = [bare(one) for one in sampler]
        return _joined(samplers[0], [_part(one) for one in samplers])
    mine = bare(sampler)
    texts: list[bytes] = [b""] * dist.get_world_size(group)
    dist.all_gather_object(texts, msgspec.json.encode(_part(mine)), group=group)
    return _joined(mine, [msgspec.json.decode(text, type=Part) for text in texts])


def _part(sampler: ResumableSampler) -> Part:
    progress = progress_of(sampler)
    state, rows = progress.part()
    began = Standing(
        state=SamplerState.from_dict(state), rank=progress.config.rank, first_epoch=progress.config.order_digest(0)
    )
    return Part(began=began, rows=rows.runs)


def _joined(sampler: ResumableSampler, parts: Sequence[Part]) -> dict[str, Any]:
    agreed([part.began for part in parts], on_torn="raise")
    return progress_of(sampler).state_with(Finished.of(_numbers(parts)))


def _numbers(parts: Sequence[Part]) -> Iterator[tuple[int, int]]:
    """Yield which items are finished, counted over all ranks: row `k` of rank `r` of `W` is number `k * W + r`."""
    num_rows = min(Finished(part.rows).up_to(0) for part in parts)
    yield 0, num_rows * len(parts)
    for part in parts:
        for first, stop in Finished(part.rows).behind(num_rows).runs:
            for row in range(first, stop):
                number = row * len(parts) + part.began.rank
                yield number, number + 1
