"""Samplers by name, for programs that choose one in a configuration."""

from collections.abc import Iterator
from typing import TypeVar

from resumable.samplers.errors import DuplicateSamplerError, UnknownSamplerError
from resumable.samplers.sampler import ResumableSampler

_Class = TypeVar("_Class", bound=type)


class SamplerRegistry:
    """Sampler classes under the names of their classes.

    Example:
        >>> @SAMPLER_REGISTRY.register
        ... class MySampler(ResumableSampler): ...

        or, for a class that is defined elsewhere, ``SAMPLER_REGISTRY.register(MySampler)``.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def __contains__(self, type_name: object) -> bool:
        return type_name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def register(self, sampler_type: _Class) -> _Class:
        """Register a class under its own name and return it, so that this serves as a decorator too.

        Raises:
            TypeError: `sampler_type` is no class.
            DuplicateSamplerError: the name is taken.
        """
        if not isinstance(sampler_type, type):
            raise TypeError(f"sampler_type={sampler_type!r}: expected a class")
        name = sampler_type.__name__
        if name in self._classes:
            taken_by = self._classes[name]
            raise DuplicateSamplerError(f"{name!r} is already registered, for {taken_by.__module__}.{name}")
        self._classes[name] = sampler_type
        return sampler_type

    def get(self, type_name: str) -> type:
        """Return the class registered as `type_name`.

        Raises:
            UnknownSamplerError: there is none.
        """
        try:
            return self._classes[type_name]
        except KeyError:
            known = ", ".join(sorted(self._classes))
            raise UnknownSamplerError(f"type_name={type_name!r} is not registered; known are {known}") from None


SAMPLER_REGISTRY = SamplerRegistry()
"""The registry that `create_sampler` looks into."""


def create_sampler(type_name: str, *args: object, **kwargs: object) -> ResumableSampler:
    """Return a new sampler of a registered class.

    Args:
        type_name: Name of the class, as `"ResumableRandomSampler"`.
        *args: Passed on to it.
        **kwargs: Passed on to it.

    Raises:
        UnknownSamplerError: no class is registered under that name.
    """
    sampler: ResumableSampler = SAMPLER_REGISTRY.get(type_name)(*args, **kwargs)
    return sampler
