"""The steps of one process as columns of numbers, so that a long training fits into memory.

What is compared in every step is kept as fingerprints of 64 bits; what a single step is made of is read again from the
evidence where somebody looks at it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec
import xxhash

from resumable.launch.evidence.rank_records import Figure, Settings, Step
from resumable.launch.reading.trained import TrainedStep

_NOT_RECORDED = -math.inf
"""In a column of figures."""
UNKNOWN = 0
"""Fingerprint of what was not recorded."""
_encoder = msgspec.msgpack.Encoder()


def fingerprint(value: object) -> int:
    """64 bits that are equal for equal values, and different for different ones but for one case in 2^64."""
    if value is None:
        return UNKNOWN
    try:
        text = _encoder.encode(value)
    except OverflowError:  # a sample may have any number
        text = msgspec.json.encode(value)
    return xxhash.xxh3_64_intdigest(text) or 1


def together(keys: Sequence[int]) -> int:
    """Of a step with any number of batches but one."""
    return fingerprint(["batches", *keys])


def _of_losses(losses: Iterable[float | None]) -> int:
    """A loss that is no number equals itself, and 0 equals -0."""
    return fingerprint(["nan" if x is not None and math.isnan(x) else x if x is None else x + 0.0 for x in losses])


StepColumn = Literal["keys", "afters", "buffers", "losses", "lines"]
FigureColumn = Literal["rates", "norms"]
BatchColumn = Literal["batch_keys", "epochs", "nums_samples"]


class Table:
    """Columns of the steps of one process, and of their batches.

    Args:
        step: Reads a step again.
    """

    def __init__(self, step: Callable[[int], TrainedStep]) -> None:
        self.step = step
        self.keys = array("Q")
        """Fingerprints of what each step consumed."""
        self.afters = array("Q")
        """Of the parameters after it."""
        self.buffers = array("Q")
        self.losses = array("Q")
        self._scales = array("d")
        self.rates = array("d")
        """Learning rates."""
        self.norms = array("d")
        """Of the parameters after it."""
        self.settings: dict[tuple[str, str], tuple[array[int], list[list[Figure]]]] = {}
        """What optimizers were set to, by optimizer and setting: from which step on, and to what."""
        self.lines = array("I")
        self._loss_values = array("d")
        self._are_known = bytearray()
        self._loss_ends = array("I")
        """How many losses the steps up to this one have."""
        self.ends = array("I")
        """How many batches the steps up to this one have."""
        self.batch_keys = array("Q")
        self.epochs = array("i")
        self.nums_samples = array("I")

    def __len__(self) -> int:
        return len(self.keys)

    def append(self, step: TrainedStep) -> None:
        """Take note of the next step."""
        keys = [fingerprint(batch.key) for batch in step.batches]
        self.keys.append(keys[0] if len(keys) == 1 else together(keys))
        self.afters.append(fingerprint(step.after))
        self.buffers.append(fingerprint(step.record.buffers))
        self.losses.append(_of_losses(step.losses))
        self._scales.append(_number(step.scale))
        self._loss_values.extend([loss or 0.0 for loss in step.losses])
        self._are_known.extend([loss is not None for loss in step.losses])
        self._loss_ends.append(len(self._loss_values))
        self.rates.append(_number(step.record.learning_rate))
        self.norms.append(_number(step.record.parameter_norm))
        self._set(step.record.settings)
        self.lines.append(step.line)
        for key, batch in zip(keys, step.batches, strict=True):
            self.batch_keys.append(key)
            self.epochs.append(batch.epoch)
            self.nums_samples.append(len(batch.samples))
        self.ends.append(len(self.batch_keys))

    def update(self, record: Step) -> None:
        """The last step has a further record: of another optimizer, which did its part of it."""
        self.afters[-1] = fingerprint(record.after)
        self.buffers[-1] = fingerprint(record.buffers)
        self.rates[-1] = _number(record.learning_rate)
        self.norms[-1] = _number(record.parameter_norm)
        self._set(record.settings)

    def first_batch(self, step: int) -> int:
        """Number of the first batch of a step."""
        return self.ends[step - 1] if step else 0

    def settings_of(self, name: tuple[str, str], begin: int, end: int) -> Iterator[tuple[int, Sequence[Figure]]]:
        """What a setting was in the steps of a range: from which on, and what; of an optimizer's step twice, the last."""
        begins, values = self.settings.get(name, (array("I"), []))
        first, last = bisect_right(begins, begin), bisect_left(begins, end)
        if first:
            yield begin, values[first - 1]
        yield from zip(begins[first:last], values[first:last], strict=True)

    def _set(self, settings: Settings) -> None:
        """From the last step on."""
        for optimizer, own in settings.items():
            for setting, values in own.items():
                begins, all_values = self.settings.setdefault((optimizer, setting), (array("I"), []))
                begins.append(len(self.keys) - 1)
                all_values.append(values)

    def scale_of(self, step: int) -> float | None:
        """What a gradient scaler had multiplied the losses of a step by."""
        scale = self._scales[step]
        return None if scale == _NOT_RECORDED else scale

    def losses_of(self, step: int) -> tuple[float | None, ...]:
        """One for each backward pass of a step."""
        places = range(self._loss_ends[step - 1] if step else 0, self._loss_ends[step])
        return tuple([self._loss_values[place] if self._are_known[place] else None for place in places])


def _number(value: float | None) -> float:
    return _NOT_RECORDED if value is None else value


def known(number: float) -> float | None:
    """A number of a column, or None where it was not recorded."""
    return None if number == _NOT_RECORDED else number
