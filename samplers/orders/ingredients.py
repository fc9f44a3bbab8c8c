"""What a mixture is made of, as its parameters in a state show it."""

from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from resumable.samplers.orders.stream import Era

_Size = Annotated[int, Meta(ge=1, lt=2**62)]
_Weight = Annotated[float, Meta(ge=0)]


class Member(Struct, frozen=True, kw_only=True):
    """One data set of a mixture, as its parameters show it."""

    name: str
    size: _Size
    weight: _Weight
    of: dict[str, Any]
    """Its order."""


class Ingredients(Struct, frozen=True, kw_only=True):
    """The parameters of a mixture."""

    members: Annotated[list[Member], Meta(min_length=1)]
    epoch_length: _Size

    @classmethod
    def of(cls, era: Era) -> Self:
        """Read them out of an era.

        Raises:
            ValueError: they are damaged.
        """
        found = msgspec.convert(era.parameters, cls, strict=True)
        if era.num_samples != sum(member.size for member in found.members):
            raise ValueError(f"num_samples={era.num_samples}: the members of a mixture have a different sum")
        return found

    @property
    def sizes(self) -> list[int]:
        """Samples in each member."""
        return [member.size for member in self.members]

    @property
    def weights(self) -> list[float]:
        """Weight of each member."""
        return [member.weight for member in self.members]

    @property
    def names(self) -> list[str]:
        """Name of each member."""
        return [member.name for member in self.members]
