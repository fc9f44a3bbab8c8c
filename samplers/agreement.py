"""Do all ranks stand at the same place?"""

import json
from collections.abc import Sequence
from typing import Literal

import torch.distributed as dist
from msgspec.structs import replace

from resumable.samplers.checkpoint import Resumable
from resumable.samplers.errors import AgreementError
from resumable.samplers.state import SamplerState


def check_agreement(
    sampler: Resumable, *, group: dist.ProcessGroup | None = None, on_torn: Literal["raise", "earliest"] = "raise"
) -> None:
    """Compare epoch, position and stream over all ranks.

    Call it on each rank, after loading a state and before the epoch's number is set and the first batch is drawn.
    If a job was killed between two ranks' saves, or one rank loaded another file, ranks stand at different places.
    Samples are then lost or trained on twice, and nothing fails.

    Args:
        sampler: A sampler, batch sampler or loader. With `on_torn="earliest"` its position may be changed.
        group: Process group; the default one if None.
        on_torn: `"raise"` refuses different positions; `"earliest"` goes on at the earliest of them, on all ranks:
            samples behind it are trained on again by the ranks that were ahead. Different streams are always refused.

    Raises:
        AgreementError: ranks disagree; the message says which rank stands where.
        ValueError: `on_torn` is neither of the two.
    """
    if on_torn not in {"raise", "earliest"}:
        raise ValueError(f'on_torn={on_torn!r}: expected "raise" or "earliest"')
    texts: list[str] = [""] * dist.get_world_size(group)
    dist.all_gather_object(texts, json.dumps(sampler.state_dict()), group=group)
    states = [SamplerState.from_dict(json.loads(text)) for text in texts]
    chosen = agreed(states, on_torn=on_torn)
    mine = states[dist.get_rank(group)]
    if (chosen.epoch, chosen.consumed) != (mine.epoch, mine.consumed):
        sampler.load_state_dict(chosen.to_dict())


def agreed(states: Sequence[SamplerState], *, on_torn: Literal["raise", "earliest"]) -> SamplerState:
    """Return the state at which all ranks can go on: any of equal ones, or the earliest.

    Args:
        states: One state a rank, in the order of ranks.
        on_torn: What to do about different positions.

    Raises:
        AgreementError: the streams or layouts differ, or the positions do and `on_torn` is `"raise"`.
    """
    first = states[0]
    for rank, state in enumerate(states):
        # The order's digest belongs to an epoch: ranks in different ones differ in it rightly.
        comparable = replace(first, fingerprint=state.fingerprint) if first.epoch != state.epoch else first
        differing = [f"{name}: {theirs!r} against {ours!r}" for name, theirs, ours in comparable.differences(state)]
        if first.layout != state.layout:
            differing.append(f"{first.layout} against {state.layout}")
        if differing:
            raise AgreementError(f"rank 0 and rank {rank} read different data: " + "; ".join(differing))
    if len({(state.epoch, state.consumed) for state in states}) > 1 and on_torn == "raise":
        places = ", ".join(
            f"rank {rank} in epoch {state.epoch} at sample {state.consumed}" for rank, state in enumerate(states)
        )
        raise AgreementError(f"the ranks stand at different places: {places}; was a save torn between ranks?")
    return min(states, key=lambda state: (state.epoch, state.consumed))
