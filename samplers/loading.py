"""States that belong to a sampler's stream, and those from whose position on it is amended."""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from resumable.samplers.config import SamplerConfig
from resumable.samplers.errors import StateFormatError, StateMismatchError
from resumable.samplers.finished import Finished
from resumable.samplers.state import COMPARED_FIELDS, SamplerState, StreamSpec

_T = TypeVar("_T")
_AMENDABLE = ("num_samples", "parameters")


def loadable(
    config: SamplerConfig, state_dict: Mapping[str, Any], *, allow: Collection[str]
) -> tuple[SamplerState, SamplerConfig]:
    """Return a state as a sampler can go on from it, and what the sampler then is made of.

    Where the number of samples or the order's parameters differ, and are allowed to, the stream is amended if its order can
    be: what was consumed keeps its meaning, and what follows is as the sampler describes it.

    Raises:
        StateFormatError: the state is damaged.
        StateMismatchError: it is of a different stream, in a field that is not allowed to differ.
        ValueError: `allow` names no field that may differ.
    """
    allowed = {allow} if isinstance(allow, str) else set(allow)
    unknown = sorted(allowed - set(COMPARED_FIELDS))
    if unknown:
        raise ValueError(f"allow={unknown}: expected some of {', '.join(COMPARED_FIELDS)}")
    saved = SamplerState.from_dict(state_dict)
    declared = config.as_declared()
    continued = _continued(declared, saved)
    changed = dict(_changes(saved.stream, declared.spec))
    if continued is None:
        known, advice = declared, ""
    elif not changed or _stands_for(declared, continued):
        known, advice, changed = continued, "", {}
    else:
        why_not = _why_not_amended(declared, continued)
        known = declared if why_not or not changed.keys() <= allowed else continued
        advice = f"; {why_not}" if why_not else f"; allow={[*changed]} amends the stream from here on"
    if known is continued and changed and saved.finished:
        raise StateMismatchError(
            f"finished={saved.finished}: samples were finished out of order, behind where the stream would "
            "be amended: go on without the amendment until none are in flight"
        )
    _refuse_or_warn(saved, known, changed if known is continued else {}, allowed, advice)
    _check_finished(saved, declared if known is not continued else known)
    if known is not continued:
        return _in_another_epoch(saved, declared), declared
    _check_position(saved, known)
    if not changed:
        return saved, known
    # An epoch that was over stays over.
    over = saved.consumed == known.length(saved.epoch)
    position = (saved.epoch + 1, 0) if over else (saved.epoch, saved.consumed)
    return saved, known.amended(*position, declared.spec)


def _continued(declared: SamplerConfig, saved: SamplerState) -> SamplerConfig | None:
    """Return a sampler of the saved stream, amendments included; None if that is of a different order."""
    if saved.stream.order != declared.spec.order:
        return None
    held = {name: getattr(saved.stream, name) for name in _AMENDABLE}
    spec = msgspec.structs.replace(declared.spec, **held)
    if (spec, saved.amendments) == (declared.spec, []):
        return declared
    continued = replace(
        declared, spec=spec, amendments=(*saved.amendments,), _streams={}, _digests={}, _num_rows={}, _templates={}
    )
    for before, after in pairwise(continued.eras):
        why_not = _reading(partial(declared.order.why_not_amended, before, after))
        if before.start > after.start or why_not:
            raise StateFormatError(f"damaged sampler state: amendments={saved.amendments}: {why_not or 'out of order'}")
    return continued


def _stands_for(declared: SamplerConfig, continued: SamplerConfig) -> bool:
    first, latest = continued.eras[0], continued.eras[-1]
    return bool(continued.amendments) and _reading(partial(declared.order.stands_for, first, latest, declared.eras[-1]))


def _why_not_amended(declared: SamplerConfig, continued: SamplerConfig) -> str | None:
    return _reading(partial(declared.order.why_not_amended, continued.eras[-1], declared.eras[-1]))


def _reading(ask: Callable[[], _T]) -> _T:
    """Ask an order about parameters that come from a state."""
    try:
        return ask()
    except (KeyError, TypeError, ValueError) as error:
        raise StateFormatError(f"damaged sampler state: stream.parameters: {error!r}") from error


def _changes(saved: StreamSpec, ours: StreamSpec) -> Iterator[tuple[str, str]]:
    for name in _AMENDABLE:
        saved_value, our_value = getattr(saved, name), getattr(ours, name)
        if saved_value != our_value:
            yield f"stream.{name}", f"stream.{name}: saved {saved_value!r}, here {our_value!r}"


def _refuse_or_warn(
    saved: SamplerState, known: SamplerConfig, changes: Mapping[str, str], allowed: Collection[str], advice: str
) -> None:
    differences = {
        name: f"{name}: saved {saved_value!r}, here {our_value!r}"
        for name, saved_value, our_value in saved.differences(known.standing(saved.epoch))
    }
    refused = [message for name, message in differences.items() if name not in allowed]
    if refused:
        raise StateMismatchError("the state is of a different stream of samples; " + "; ".join(refused) + advice)
    for message in differences.values():
        warnings.warn(f"the state is of a different stream, as allowed: {message}", stacklevel=6)
    for message in changes.values():
        warnings.warn(f"the stream is amended from here on, as allowed: {message}", stacklevel=6)


def _check_position(saved: SamplerState, known: SamplerConfig) -> None:
    length = known.length(saved.epoch)
    if saved.consumed > length:
        raise StateFormatError(f"damaged sampler state: consumed={saved.consumed}: an epoch has {length} samples")
    if known.groups is not None and (saved.consumed or saved.finished) and saved.consumed < length:
        try:
            known.deal(saved.epoch, saved.consumed, Finished.of((first, stop) for first, stop in saved.finished))
        except ValueError as error:
            raise StateMismatchError(f"consumed={saved.consumed}: {error}") from error


def _check_finished(saved: SamplerState, known: SamplerConfig) -> None:
    ends = [saved.consumed, *(end for run in saved.finished for end in run), known.length(saved.epoch) + 1]
    if saved.finished and any(first >= stop for first, stop in pairwise(ends)):
        raise StateFormatError(
            f"damaged sampler state: finished={saved.finished}: expected runs of positions between "
            f"consumed={saved.consumed} and the end of the epoch, {known.length(saved.epoch)}, in ascending order"
        )


def _in_another_epoch(saved: SamplerState, ours: SamplerConfig) -> SamplerState:
    """Return a state of a different stream, whose position means nothing but at an epoch's start and end."""
    their_length = ours.order.length(saved.stream.num_samples)
    length = ours.length(saved.epoch)
    if saved.consumed > their_length:
        raise StateFormatError(f"damaged sampler state: consumed={saved.consumed}: an epoch has {their_length} samples")
    if their_length == length:
        return saved
    if saved.consumed == their_length:
        return msgspec.structs.replace(saved, consumed=length)
    if saved.consumed:
        raise StateMismatchError(
            f"consumed: saved {saved.consumed} of {their_length} samples, here are {length}: in an epoch of a different "
            "length this position means nothing; a state from the start or the end of an epoch can be loaded"
        )
    return saved
