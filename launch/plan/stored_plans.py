"""Reads stored plans, those of earlier versions too."""

from __future__ import annotations

import msgspec

from resumable.launch.plan.plan import PLAN_VERSION, Command, Plan
from resumable.launch.plan.topology import topology_of
from resumable.launch.plan.torchrun_flags import Flags

READABLE_VERSIONS = (1, PLAN_VERSION)


class _Version1(msgspec.Struct, frozen=True):
    """Nodes and their meeting point stood only in torchrun's flags."""

    command: Command
    torchrun: Flags


class _Versioned(msgspec.Struct):
    version: int


_version_decoder = msgspec.json.Decoder(_Versioned)
_decoder = msgspec.json.Decoder(Plan)
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_version_1_decoder = msgspec.json.Decoder(_Version1)


def version_of(data: bytes) -> int:
    """The version of the format.

    Raises:
        msgspec.DecodeError: it says none.
    """
    return _version_decoder.decode(data).version


def decode_plan(data: bytes) -> Plan:
    """A plan of one of the `READABLE_VERSIONS`.

    Raises:
        msgspec.DecodeError: it is damaged.
    """
    return _decoder.decode(_from_version_1(data) if version_of(data) == 1 else data)


def _from_version_1(data: bytes) -> bytes:
    old = _version_1_decoder.decode(data)
    try:
        topology = topology_of(old.torchrun, is_proof=old.command != "run")
    except (KeyError, ValueError) as error:
        raise msgspec.DecodeError(f"torchrun: {error}") from error
    new = {"version": PLAN_VERSION, "topology": topology}
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in new.items()}
    return msgspec.json.encode({**_fields_decoder.decode(data), **fields})
