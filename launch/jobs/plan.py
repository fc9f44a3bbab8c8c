"""Which samples each rank will get: what `resumable plan` prints, in a process of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from resumable.samplers import ResumableSampler, SamplerError, SamplerState, StateFormatError, plan


def main(argv: Sequence[str] | None = None) -> int:
    """Print the next steps; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        sampler = _sampler(arguments, _state(arguments.state))
        epoch = sampler.epoch if arguments.epoch is None else arguments.epoch
        steps = plan(sampler, epoch, arguments.steps)
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
    print(json.dumps(planned) if arguments.json else "\n".join(_lines(planned)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="resumable plan",
        description="Print which samples each rank will get in the steps to come, without training. For orders and groups "
        "that a program describes, as a mixture or batches by tokens: resumable.samplers.plan(sampler, epoch, steps).",
        epilog="for example: resumable plan --num-samples 50000 --world-size 8 --batch-size 32 --epoch 1",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="go on from a state, as JSON or in a checkpoint; what no flag says, it says",
    )
    parser.add_argument("--num-samples", type=int, metavar="N", help="samples in the data set")
    parser.add_argument("--world-size", type=int, metavar="W", help="number of ranks (1)")
    parser.add_argument("--batch-size", type=int, metavar="B", help="samples in a rank's batch (1)")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the order (0)")
    parser.add_argument("--order", help="randperm, feistel or sequential, or one with its version (randperm)")
    parser.add_argument("--drop-last", choices=["no", "yes", "global"], help="what becomes of the last samples (no)")
    parser.add_argument("--epoch", type=int, metavar="E", help="the epoch (0)")
    parser.add_argument("--steps", type=int, default=10, metavar="K", help="how many steps, at most (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


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
        raise StateFormatError(
            f"--state {path}: neither JSON nor a checkpoint of plain data: {str(error).splitlines()[0]}"
        ) from error


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


def _sampler(arguments: argparse.Namespace, state: Mapping[str, Any] | None) -> ResumableSampler:
    """Make rank 0's sampler of what was given, and of what the state says of the rest.

    Raises:
        SamplerError: the state does not fit to what was given.
        ValueError: no number of samples was given, or only a program can describe the order.
    """
    given = {
        "order": arguments.order,
        "num_samples": arguments.num_samples,
        "seed": arguments.seed,
        "drop_last": {"no": False, "yes": True, "global": "global", None: None}[arguments.drop_last],
        "num_replicas": arguments.world_size,
        "batch_size": arguments.batch_size,
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
    sys.exit(main())
