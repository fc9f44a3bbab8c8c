"""The exceptions of this package; each is also the built-in that a caller would expect."""


class SamplerError(Exception):
    """Base of everything that this package raises on its own account."""


class StateMismatchError(SamplerError, ValueError):
    """A state is sound, but belongs to another stream of samples than the one it is loaded into."""


class StateFormatError(SamplerError, ValueError):
    """A state is damaged, or was written by a version that this one cannot read."""


class PositionUnknownError(SamplerError, RuntimeError):
    """Several passes over a sampler are under way, or were broken off, and nothing shows which of them trains."""


class AgreementError(SamplerError, RuntimeError):
    """The ranks of a job stand at different places, or read different data."""


class OrderLawError(SamplerError, AssertionError):
    """An order of the user's breaks one of the laws on which exact resuming rests."""


class DuplicateSamplerError(SamplerError, ValueError):
    """A sampler name is registered twice."""


class UnknownSamplerError(SamplerError, KeyError):
    """No sampler is registered under that name."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put quotes around a whole sentence.
        return str(self.args[0])
