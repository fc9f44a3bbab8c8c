"""torchrun's own flags as plain values, which travel in the plan: what they must be, and what some of them mean."""

from __future__ import annotations

import ipaddress
import os
import signal
from types import SimpleNamespace

from resumable.launch.errors import UsageError

Flags = dict[str, int | float | str | bool | list[str] | None]

_BACKENDS = ("static", "c10d")
_SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT"
_MAX_PORT = 65535
_READ: Flags = {"rdzv_conf": "", "local_ranks_filter": "", "redirects": "0", "tee": "0", "shutdown_timeout": 30}
"""Flags that torch reads when a job starts, with values that it takes."""
_HARMLESS: Flags = {
    "nnodes": "1",
    "nproc_per_node": "1",
    "max_restarts": 0,
    "start_method": "spawn",
    "numa_binding": "node",  # without one torch would look for GPUs, and find the one that belongs to each rank
    "log_dir": os.devnull,
    "training_script": "",
    "training_script_args": [],
}
"""What else it reads, so that nothing is looked up and nothing is made."""


def check_flags(flags: Flags) -> None:
    """Refuse what torch would refuse once the job starts, and what has no meaning here.

    Raises:
        UsageError: there is such a value; names the flag.
    """
    _check_backend(flags)
    _check_logs(flags)
    _check_signals(flags)
    _check_as_torch_does(flags)


def signals_of(flags: Flags) -> tuple[signal.Signals, ...]:
    """The signals that end a job, and that its ranks get then.

    Raises:
        KeyError: there is no such signal.
    """
    text = flags.get("signals_to_handle")  # a flag that older releases of torch do not have
    return tuple(signal.Signals[name.strip()] for name in str(_SIGNALS if text is None else text).split(","))


def without_ignored(flags: Flags) -> Flags:
    """The flags of a job that leaves alone what this process was started to ignore: SIGHUP, under `nohup`."""
    if "signals_to_handle" not in flags or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        return flags
    names = [number.name for number in signals_of(flags) if number is not signal.SIGHUP]
    return {**flags, "signals_to_handle": ",".join(names)}


def num_ranks(nproc_per_node: str) -> int:
    """Ranks on one node: a number, or what `auto`, `cpu` and `gpu` stand for on this machine.

    Raises:
        ValueError: none of these, or this machine has no such device.
    """
    from torch.distributed.run import determine_local_world_size

    return int(determine_local_world_size(nproc_per_node))


def _check_as_torch_does(flags: Flags) -> None:
    """One flag after the other, so that the wrong one is known: torch's messages do not always name it."""
    from torch.distributed.run import config_from_args

    for name in [name for name in _READ if name in flags]:
        try:
            config_from_args(SimpleNamespace(**{**flags, **_HARMLESS, **_READ, name: flags[name]}))
        except ValueError as error:
            raise _refusal(name, flags, str(error)) from error


def _check_backend(flags: Flags) -> None:
    from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint

    if flags["rdzv_backend"] not in _BACKENDS:
        raise _refusal("rdzv_backend", flags, f"expected {' or '.join(_BACKENDS)}")
    port = flags["master_port"]
    if port is not None and not 0 <= int(str(port)) <= _MAX_PORT:
        raise _refusal("master_port", flags, f"expected 0 to {_MAX_PORT}")
    try:
        host, _ = parse_rendezvous_endpoint(str(flags["rdzv_endpoint"]), default_port=0)
        if ":" in host:  # torch takes every colon but the last for a part of the name
            ipaddress.IPv6Address(host)
    except ValueError as error:
        raise _refusal("rdzv_endpoint", flags, f"expected HOST:PORT ({error})") from error


def _check_logs(flags: Flags) -> None:
    from torch.distributed.elastic.events.handlers import get_logging_handler

    if flags["logs_specs"] is not None:
        raise _refusal("logs_specs", flags, "logs go to the run directory, as --redirects and --tee say")
    handler = flags.get("event_log_handler")  # a flag that older releases of torch do not have
    try:
        get_logging_handler("null" if handler is None else str(handler))
    except KeyError as error:
        raise _refusal("event_log_handler", flags, "no such handler is registered") from error


def _check_signals(flags: Flags) -> None:
    try:
        signals = signals_of(flags)
    except KeyError as error:
        raise _refusal("signals_to_handle", flags, f"there is no signal {error}") from error
    for deaf in {signal.SIGKILL, signal.SIGSTOP}.intersection(signals):
        raise _refusal("signals_to_handle", flags, f"nothing can handle {deaf.name}")


def _refusal(name: str, flags: Flags, reason: str) -> UsageError:
    return UsageError(f"--{name.replace('_', '-')} {flags[name]}: {reason}")
