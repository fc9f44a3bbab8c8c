"""A statement is a code and its parameters; the sentence that a person reads is made from both, here and nowhere else.

A program reads the code, which never changes its meaning; a person reads the sentence, which may be put better at any
time. Two statements that differ in nothing but where and how often are of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import ClassVar

import msgspec

from resumable.launch.system.wording import counted, listed, listed_in_part


def _code_of(class_name: str) -> str:
    """`BatchDiffers` has the code `batch_differs`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


class _Wording(Formatter):
    """Fills a template.

    `{num:batch}` counts in English. `{path:? in {path}}` stands there if there is a path, and of `{is_first:new|old}` the
    one or the other. `{names}` is listed, `{names:, }` joined, and `{names:of {num}}` are the first of so many.
    """

    def format_field(self, value: object, format_spec: str) -> str:
        is_there = value is not None and value is not False and value not in ("", ())
        if format_spec.startswith("?"):
            return format_spec[1:] if is_there else ""
        if "|" in format_spec:
            return format_spec.split("|")[not is_there]
        if isinstance(value, tuple):
            first_of = re.fullmatch(r"of (\d+)", format_spec)
            part = listed_in_part(value, int(first_of[1])) if first_of else format_spec.join(map(str, value))
            return part if format_spec else listed(value)
        return counted(value, format_spec) if format_spec and isinstance(value, int) else str(value)

    def filled(self, template: str, parameters: Mapping[str, object]) -> str:
        return self.vformat(template, (), parameters)


_WORDING = _Wording()


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="code", tag=_code_of):
    """Something that the evidence shows; each subclass is one code, its fields are the parameters."""

    template: ClassVar[str] = ""
    """The sentence; a parameter stands in braces, and behind a colon what is made of it: `{num:batch}`."""
    kind_by: ClassVar[Sequence[str]] = ()
    """Parameters without which two statements are not of one kind; most only say where and how often."""
    remedy: ClassVar[str] = ""
    """What to do about it, for people; "" where the sentence says so, or nobody knows."""

    @property
    def code(self) -> str:
        """Its code, as in `results.json`."""
        return str(self.__struct_config__.tag)

    @property
    def kind(self) -> tuple[str, ...]:
        """The same for all statements that a person would fix in the same way."""
        return (self.code, *(str(getattr(self, name)) for name in self.kind_by))

    @property
    def wording(self) -> str:
        """The template of this one: of some codes a parameter chooses it."""
        return self.template

    @property
    def advice(self) -> str:
        """What to do about this one."""
        return self.remedy

    def __str__(self) -> str:
        return self.filled()

    def filled(self, **more: object) -> str:
        """The sentence; `more` fills what the template has besides the parameters."""
        return _WORDING.filled(self.wording, {**msgspec.structs.asdict(self), **more})


class Problem(Statement, frozen=True, kw_only=True):
    """What is not as it should be, or why the evidence does not show whether it is."""


class Reason(Statement, frozen=True, kw_only=True):
    """Why, as far as the evidence lets one infer."""
