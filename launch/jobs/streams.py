"""Which samples an epoch has, in their order, as the state of a sampler describes it: asked by `resumable check`.

A process of its own: who judges a job shares no code with what it judges. It reads one request a line, as
`{"state": …, "most": 1000}`, and answers each with a line: the first samples of the epoch and how many it has, or why not.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Any

from resumable.samplers import ResumableSampler, SamplerError, SamplerState
from resumable.samplers.orders import order_from

_MOST_SAMPLES = 10**8
"""Of an epoch that is arranged here: the state may be a stranger's, and a permutation takes 8 bytes a sample."""


def described(state: dict[str, Any], most: int) -> dict[str, Any]:
    """Return the first samples of the epoch in which a state stands, and how many it has.

    Raises:
        SamplerError: it is no state, or this release of torch draws a different permutation.
        ValueError: the state does not describe its order whole.
    """
    saved = SamplerState.from_dict(state)
    stream = saved.stream
    if stream.groups:
        raise ValueError("only the program itself knows what the groups of samples are cut by")
    if stream.num_samples > _MOST_SAMPLES:
        raise ValueError(f"{stream.num_samples} samples are too many to arrange")
    order = order_from({"order": stream.order, **stream.parameters})
    whole = ResumableSampler(
        order,
        num_samples=stream.num_samples,
        seed=stream.seed,
        shuffle=stream.shuffle,
        drop_last=stream.drop_last,
    )
    whole.load_state_dict({**state, "layout": {"num_replicas": 1, "batch_size": 1}})
    whole.set_epoch(saved.epoch)
    return {
        "samples": list(islice(map(int, whole), most)),
        "num_samples": order.length(stream.num_samples),
        "repeats": not order.is_permutation,
    }


def main() -> None:
    """Answer until there is no more to answer."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = described(request["state"], request["most"])
        except (SamplerError, ValueError, TypeError, KeyError) as error:
            answer = {"why": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
