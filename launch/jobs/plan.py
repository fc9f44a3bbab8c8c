"""Which samples each rank will get: what `resumable plan` prints, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from resumable.samplers import ResumableSampler, SamplerError, SamplerState, StateFormatError, plan


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `resumable plan` was asked, as its options say it; None where one was not given."""

    state: str | None = None
    num_samples: int | None = None
    world_size: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    order: str | None = None
    drop_last: Literal["no", "yes", "global"] | None = None
    epoch: int | None = None
    steps: int = 10
    json: bool = False


def main(request: Request) -> int:
    """Print the next steps; returns the exit code."""
    try:
        sampler = _sampler(request, _state(None if request.state is None else Path(request.state)))
        epoch = sampler.epoch if request.epoch is None else request.epoch
        steps = plan(sampler, epoch, request.steps)
    except (SamplerError, ValueError, TypeError) as error:
        print(f"resumable: {error}\ntry: resumable plan --help", file=sys.stderr)
        return 2
    state = sampler.state_dict()
    planned = {
        "order": state["stream"]["order"],
        "seed": state["stream"]["seed"],
        "num_samples": state["stream"]["num_samples"],
        "world_size": state["layout"]["num_replicas"],
        "batch_size": state["layout"]["batch_size"],
        "epoch": epoch,
        "consumed": state["consumed"] if epoch == state["epoch"] else 0,
        "steps": steps,
    }
    print(json.dumps(planned) if request.json else "\n".join(_lines(planned)))
    return 0


def _state(path: Path | None) -> dict[str, Any] | None:
    """Read a sampler's state out of a file.

    Raises:
        StateFormatError: there is none in it, or several.
    """
    if path is None:
        return None
    found: list[dict[str, Any]] = []
    for state in _states(_content(path)):
        if state not in found:
            found.append(state)
    if len(found) != 1:
        raise StateFormatError(f"--state {path}: expected one sampler's state in it, found {len(found)}")
    return found[0]


def _content(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StateFormatError(f"--state {path}: {error.strerror}") from error
    except ValueError:
        pass
    try:
        return torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # it fails in as many ways as there are files
        raise StateFormatError(f"--state {path}: neither JSON nor a checkpoint of plain data") from error


def _states(content: object) -> Iterator[dict[str, Any]]:
    """Yield what says that it is a sampler's state, however deep in a checkpoint."""
    if isinstance(content, Mapping):
        if content.get("format") == "resumable-sampler":
            yield dict(content)
            return
        content = list(content.values())
    if isinstance(content, list | tuple):
        for value in content:
            yield from _states(value)


def _sampler(request: Request, state: Mapping[str, Any] | None) -> ResumableSampler:
    """Make rank 0's sampler of what was given, and of what the state says of the rest.

    Raises:
        SamplerError: the state does not fit to what was given.
        ValueError: no number of samples was given, or only a program can describe the order.
    """
    given: dict[str, Any] = {
        "order": request.order,
        "num_samples": request.num_samples,
        "seed": request.seed,
        "drop_last": {"no": False, "yes": True, "global": "global", None: None}[request.drop_last],
        "num_replicas": request.world_size,
        "batch_size": request.batch_size,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if state is not None:
        saved = SamplerState.from_dict(state)
        if saved.stream.parameters or saved.stream.groups or saved.amendments:
            raise ValueError(
                f"order={saved.stream.order}: only the program describes this stream whole: call "
                "resumable.samplers.plan(sampler, epoch, steps) there"
            )
        values = {
            "order": saved.stream.order,
            "num_samples": saved.stream.num_samples,
            "seed": saved.stream.seed,
            "shuffle": saved.stream.shuffle,
            "drop_last": saved.stream.drop_last,
            "num_replicas": saved.layout.num_replicas,
            "batch_size": saved.layout.batch_size,
        } | values
    if "num_samples" not in values:
        raise ValueError(
            "how many samples are there? give --num-samples, or --state; for example\n"
            "  resumable plan --num-samples 50000 --world-size 8"
        )
    sampler = ResumableSampler(values.pop("order", "randperm"), **values)
    if state is not None:
        sampler.load_state_dict(state)
    return sampler


def _lines(planned: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"epoch {planned['epoch']} from sample {planned['consumed']} of {planned['num_samples']}, {planned['order']}, "
        f"seed {planned['seed']}, world size {planned['world_size']}, batch size {planned['batch_size']}"
    )
    for number, ranks in enumerate(planned["steps"]):
        for rank, batch in enumerate(ranks):
            yield f"step {number} rank {rank}: {' '.join(map(str, batch))}"
    if not planned["steps"]:
        yield "nothing is left of it"


if __name__ == "__main__":
    sys.exit(main(msgspec.convert(json.loads(sys.argv[1]), Request)))
