"""Where a rank's training stands since it began, over all restarts: what "step 7" or "epoch 1, batch 3" means to a fault.

A process counts its own batches and steps only, by the rule of `evidence/consumption.py`. How many came before it follows
from its parameters: earlier incarnations recorded a digest of theirs after every step, so the digest that this process
starts from names the step. That needs no knowledge of the script's checkpoints. Only where it names none does the content of
what was read tell, which was saved after some step. Nothing of this decides a verdict: the checks work it out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from resumable.launch.evidence.consumption import ConsumedBatch, Consumption
from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.loop_profile import LoaderRoles, LoaderTally, LoopProfile, profile_of
from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    LetGo,
    Load,
    Loader,
    SkippedStep,
    Step,
    StepCount,
)
from resumable.launch.worker.batch_count import BatchCount
from resumable.launch.worker.lineage import ORIGIN, EarlierSave, Lineage, look_of, looks_trained_on, num_steps_at
from resumable.launch.worker.places import Upcoming, place_of, since_start
from resumable.launch.worker.stride import Stride

_NUM_BACKWARDS_TO_LEARN = 32
"""After so many backward passes what was seen of the loop is believed, and its lines are kept until its first step only."""
FOLLOWED = (Loader, Load, Batch, Backward, LetGo, SkippedStep, Step, EpochEnd)
"""The lines that say anything about it."""
_MOST_LINES = 8192
"""So many lines are kept at most: a script may fast-forward for long before its first backward pass."""


class Position:
    """Follows the lines of this process.

    How the job's loop works shows in the lines of earlier processes, and else in the first lines of this one: until it has
    shown, what they mean is worked out anew with each backward pass. Then most steps are strides: batches that follow upon
    those of the step before in the same pass, each with a backward pass that goes back to it alone, and the step. What a
    stride changes is little, and done at its end; whatever makes something else of it has its lines followed one by one.

    Args:
        earlier: Lines of each earlier process of the rank; None in incarnation 0.
        saves: Gives what earlier processes of the job have saved.
    """

    _stride: Stride | None
    """What is open of one; None where what comes cannot be any."""

    def __init__(
        self,
        earlier: Sequence[Sequence[AnyRecord]] | None,
        saves: Callable[[], Sequence[EarlierSave]] = tuple,
    ) -> None:
        self._saves = saves
        self._base: StepCount | None = ORIGIN if earlier is None else None
        self._go_on_from(earlier)
        self._lines: list[AnyRecord] | None = []
        """What was seen while the loop is learnt."""
        self._num_backwards = 0
        self._tallies = LoaderTally(by_inputs=False), LoaderTally(by_inputs=True)
        self._lengths: dict[int, int | None] = {}
        self._looks: dict[int, Loader] = {}
        self._read: list[Mapping[str, Fingerprint]] = []
        """What it has read of checkpoints."""
        self._begin(self._known_profile or LoopProfile(), LoaderRoles())

    @property
    def is_known(self) -> bool:
        """Whether it is known what came before this process."""
        return self._base is not None

    @property
    def is_learnt(self) -> bool:
        """Whether what its lines mean is not worked out anew any more."""
        return self._lines is None

    @property
    def has_backward(self) -> bool:
        """Whether a backward pass of the training came since the last step."""
        return self._consumption.has_backward or (self._stride is not None and self._stride.has_backward)

    def resume_at(self, state: str) -> None:
        """Say which parameters this process starts from.

        No step may have left them, as where weights are clipped or normalised after it; what was read tells then.
        """
        if self._lineage is not None:
            self._base = self._lineage.find(state)
            if self._base is None and self._read:
                self._base = self._lineage.at(num_steps_at(self._read, self._saves()))

    def take_up(self, earlier: Sequence[Sequence[AnyRecord]] | None) -> None:
        """Say before the first step that this is a later process of its rank.

        Args:
            earlier: Lines of each earlier one; None: nobody has read them, and nothing is counted since training began.
        """
        self._base = None
        self._go_on_from(earlier)
        if self._lines is not None:
            self._learn(self._lines)

    def follow(self, record: AnyRecord) -> None:
        """Take note of one line."""
        stride = self._stride
        if stride is not None:
            if stride.takes(record):
                self.is_after_step = False
                return
            if type(record) is Step and stride.is_whole:
                self._go_past(stride.end())
                return
            self._break_stride()
        self._follow(record)
        if type(record) is Step:
            self._begin_stride()

    def _begin_stride(self) -> None:
        """What comes may be one, if no more is to be known for it than the batch that was trained on last."""
        consumption, last = self._consumption, self._count.latest
        is_plain = self.is_learnt and not self._profile.interleaves_loaders
        if is_plain and last is not None and consumption.is_settled and all(one.is_settled for one in self._tallies):
            is_traced = last.loader in consumption.roles.training & consumption.roles.traced
            self._stride = Stride(last) if is_traced else None

    def _go_past(self, batches: Sequence[Batch]) -> None:
        """A stride has ended with its step: the same comes of it as of its lines."""
        for batch in batches:
            self._tallies[batch.loader >= FIRST_INPUT].take(batch)
            self._consumption.take(batch)
            self._count.add_next(batch)
        self._num_backwards += len(batches)
        self.num_steps += 1
        self.is_after_step = True

    def _break_stride(self) -> None:
        """Take note of its lines one by one after all."""
        if self._stride is not None:
            lines, self._stride = self._stride.lines, None
            self._consumption.roles = self._roles()
            for line in lines:
                self._follow(line)

    def _follow(self, record: AnyRecord) -> None:
        for tally in self._tallies:
            tally.follow(record)
        if self._lines is not None:
            self._lines.append(record)
            if len(self._lines) > _MOST_LINES:
                self._lines = None if self._num_backwards else self._lines[_MOST_LINES // 2 :]
        match record:
            case Loader():
                self._lengths[record.loader] = record.num_batches
                self._looks[record.loader] = look_of(record)
                if self._is_warm_up(record.loader) and self._lineage is not None:
                    self._base = None  # what the process starts from was asked before a warm-up
            case Load() if record.fingerprints and self._num_backwards == 0:
                self._read.append(record.fingerprints)
            case Batch() if self._num_backwards == 0:
                self._consumption.roles = self._roles()
            case Backward():
                self._num_backwards += 1
                if self._lines is not None and self._num_backwards <= _NUM_BACKWARDS_TO_LEARN:
                    self._learn(self._lines)
                    return
                self._consumption.roles = self._roles()
        self._take(record)

    def upcoming(self, batch: Batch) -> Upcoming | None:
        """Where this batch stands if it is trained on next; None while it is not known what came before."""
        self._break_stride()
        if self._base is None or not batch.grad_enabled:
            return None
        is_new = batch.loader not in self._consumption.roles.training
        if is_new and self._looks.get(batch.loader) not in self._trained_before:
            if not self._is_warm_up(batch.loader):
                return None
            place = since_start(self._profile, self._base, batch.loader, 0, 0)
            return Upcoming(batch=self._base.num_batches, epoch=place.epoch, epoch_batch=place.num_batches)
        before = [one for one in self._ahead() if _key(one.batch) != _key(batch)]
        count = self._count.with_more(self._streams([*self._consumption.unfinished, *before]))
        one = ConsumedBatch(batch=batch, epoch=self._consumption.epoch_of(batch))
        stream = self._consumption.stream_of(batch)
        num_before, num_of_epoch = count.before(stream, one)
        place = since_start(self._profile, self._base, stream, one.epoch, num_of_epoch)
        return Upcoming(batch=self._base.num_batches + num_before, epoch=place.epoch, epoch_batch=place.num_batches)

    def count_step(self) -> StepCount | None:
        """What it makes since training began if a step is done now; None while it is not known what came before."""
        if self._lines is not None and not self._profile.has_steps:
            self._learn(self._lines, has_steps=True)  # until now each micro-batch passed for a step
        profile, base, lengths = self._profile, self._base, self._lengths
        if base is None:
            return None
        if self._stride is not None:
            return self._count_stride(base, self._stride)
        ahead = self._ahead() if profile.fetches_whole_steps and self._consumption.is_untold else []
        count = self._count.with_more(self._streams([*self._consumption.unfinished, *ahead]))
        places = {
            stream: since_start(profile, base, stream, one.epoch, num, length=lengths.get(one.batch.loader))
            for stream, (one, num) in count.streams.items()
        }
        latest = list(places.values())[-1] if places else place_of(base)
        return StepCount(
            num_steps=base.num_steps + self.num_steps + self.has_backward,
            num_batches=base.num_batches + count.num_batches,
            epoch=latest.epoch,
            epoch_batches=latest.num_batches,
            epoch_length=latest.length,
            places={**base.places, **places} if profile.interleaves_loaders else {},
        )

    def _count_stride(self, base: StepCount, stride: Stride) -> StepCount:
        count, num_more = self._count, len(stride.lines) // 2
        one, num = count.streams[0]
        place = since_start(
            self._profile, base, 0, one.epoch, num + num_more, length=self._lengths.get(stride.last.loader)
        )
        return StepCount(
            num_steps=base.num_steps + self.num_steps + self.has_backward,
            num_batches=base.num_batches + count.num_batches + num_more,
            epoch=place.epoch,
            epoch_batches=place.num_batches,
            epoch_length=place.length,
        )

    def _go_on_from(self, earlier: Sequence[Sequence[AnyRecord]] | None) -> None:
        self._lineage = None if earlier is None else Lineage(record for life in earlier for record in life)
        whole = [life for life in earlier or () if any(isinstance(record, Step) for record in life)]
        self._known_profile = profile_of((0, life) for life in whole) if whole else None
        self._trained_before = frozenset(look for life in whole for look in looks_trained_on(life))
        """What the loaders look like that earlier processes trained on."""

    def _begin(self, profile: LoopProfile, roles: LoaderRoles) -> None:
        self._stride = None
        self._profile = profile
        self._consumption = Consumption(profile, roles)
        self._count = BatchCount()
        self.num_steps = 0
        """Steps of this process, those of a warm-up not counted."""
        self.is_after_step = False
        """Whether a step was done and no batch was received since."""

    def _learn(self, lines: Sequence[AnyRecord], *, has_steps: bool = False) -> None:
        """Work out anew what the lines of this process mean, now that one more of them, or its first step, is known."""
        profile = self._known_profile or profile_of([(0, lines)])
        self._begin(msgspec.structs.replace(profile, has_steps=profile.has_steps or has_steps), self._roles())
        for line in lines:
            self._take(line)
        if self._num_backwards >= _NUM_BACKWARDS_TO_LEARN and self._profile.has_steps:
            self._lines = None

    def _take(self, record: AnyRecord) -> None:
        done = self._consumption.follow(record)
        if done is not None:
            self.num_steps += 1
            for stream, one in self._streams(done.batches):
                self._count.add(stream, one)
        if isinstance(record, EpochEnd):
            self._count.end(record)
        if isinstance(record, Step | Batch):
            self.is_after_step = isinstance(record, Step) and self.num_steps > 0

    def _roles(self) -> LoaderRoles:
        """Of loaders, as far as it has shown by now; of inputs of models while no backward pass had a batch of a loader."""
        by_loaders, by_inputs = self._tallies
        if by_inputs.num_backwards > by_loaders.num_backwards == 0:
            return by_inputs.roles
        roles = by_loaders.roles
        return roles if roles.training else by_inputs.roles

    def _is_warm_up(self, loader: int) -> bool:
        """Whether all that was trained on by now may be a warm-up, since only this loader brings data."""
        training = self._consumption.roles.training
        return self._lines is not None and loader < FIRST_INPUT and bool(training) and min(training) >= FIRST_INPUT

    def _ahead(self) -> list[ConsumedBatch]:
        """What waits and will be trained on: all of it where a loop fetches together or trains on loaders side by side."""
        profile = self._profile
        is_all = profile.fetches_whole_steps or (profile.interleaves_loaders and not profile.takes_turns)
        return list(self._consumption.waiting) if is_all else []

    def _streams(self, batches: Iterable[ConsumedBatch]) -> list[tuple[int, ConsumedBatch]]:
        return [(self._consumption.stream_of(one.batch), one) for one in batches]


def _key(batch: Batch) -> tuple[int, int, int]:
    return batch.loader, batch.epoch, batch.batch
