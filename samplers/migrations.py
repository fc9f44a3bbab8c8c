"""The table that brings the states of older versions up to the present one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from resumable.samplers.errors import StateFormatError

FORMAT = "resumable-sampler"
VERSION = 4

Migration = Callable[[dict[str, Any]], dict[str, Any]]


def _with_parameters(values: dict[str, Any]) -> dict[str, Any]:
    stream = values.get("stream")
    if not isinstance(stream, Mapping):
        return values  # which the reader of the state refuses
    return values | {"amendments": [], "stream": {**stream, "parameters": {}, "groups": None}}


MIGRATIONS: Mapping[int, Migration] = MappingProxyType(
    {1: lambda values: values | {"skipped": []}, 2: _with_parameters, 3: lambda values: values | {"finished": []}}
)
"""Version `n` to the function that turns a state of version `n` into one of version `n + 1`, without those two keys.

A new version of the state adds one line here and one golden file to the tests. Version 1 knew nothing of batches that
could not be loaded, version 2 nothing of orders with parameters, of groups and of amendments, version 3 nothing of samples
that are finished out of order.
"""


def migrated(
    state: Mapping[str, Any], *, version: int = VERSION, migrations: Mapping[int, Migration] = MIGRATIONS
) -> dict[str, Any]:
    """Return the fields of `state` as `version` has them, without format and version; the argument is not changed.

    Raises:
        StateFormatError: it is no sampler's state, or its version is newer than ours or unknown.
    """
    if not isinstance(state, Mapping):
        raise StateFormatError(f"not a sampler's state: expected a dict, got {type(state).__name__}")
    values = dict(state)
    found_format, found_version = values.pop("format", None), values.pop("version", None)
    if found_format != FORMAT:
        raise StateFormatError(f"not a sampler's state: format={found_format!r}, expected {FORMAT!r}")
    if isinstance(found_version, bool) or not isinstance(found_version, int):
        raise StateFormatError(f"not a sampler's state: version={found_version!r}, expected an integer")
    if found_version > version:
        raise StateFormatError(f"version={found_version}: this release reads states up to version {version}; update it")
    if found_version < version and found_version not in migrations:
        raise StateFormatError(f"version={found_version}: no such version of a sampler's state is known")
    for step in range(found_version, version):
        values = migrations[step](values)
    return values
