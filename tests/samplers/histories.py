"""Random histories of jobs against the oracle: `python -m tests.samplers.histories --num-histories 100000`.

Each is drawn from its number alone, so that one that fails can be run again. A job lives several times, each time on other
ranks and through another loader: it trains, looks, saves, finishes samples out of order, fails to load some, skips,
rolls back, leaves epochs, and gets more data or other weights.
"""

import argparse
import copy
import json
import random
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from resumable.samplers import (
    Endless,
    Mixture,
    Order,
    PackedDataset,
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    StateMismatchError,
    joint_state,
    plan,
)
from tests.samplers.oracle import Place, Turns
from tests.samplers.streams import GROUPS, NUM_SAMPLES, ONCE, ORDERS, SIZES, flat

MOST_ENDLESS = 200
"""Items of an endless run that the oracle knows."""
FIRST_WEIGHTS = (6, 3, 1)
GLOBAL_BATCH = 12
NUMBERS_OF_SAMPLES = (1, 2, 7, 24, 61, NUM_SAMPLES), (7, 24, 61, NUM_SAMPLES)
"""Of data sets with epochs, and without."""
NUMBERS_ADDED = (1, 5, 30)
READERS = ("samples", "batches", "loader", "torch's loader")


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What a job reads, as its program describes it."""

    order: str
    groups: str
    seed: int
    drop_last: bool | str
    num_samples: int = NUM_SAMPLES
    weights: tuple[int, ...] = FIRST_WEIGHTS

    @property
    def is_endless(self) -> bool:
        return "endless" in self.order or "mixtures" in self.order

    @property
    def makes_batches(self) -> bool:
        return self.groups.startswith("token")

    def ranks(self, num_replicas: int, batch_size: int, **arguments: Any) -> list[ResumableDistributedSampler]:
        made: Order | str = ORDERS[self.order]()
        if self.order == "endless mixture":
            made = Endless(Mixture(SIZES, self.weights))
        fixed = {"seed": self.seed, "drop_last": self.drop_last, "num_samples": self.num_samples}
        return [
            ResumableDistributedSampler(
                range(self.num_samples),
                num_replicas,
                rank,
                order=made,
                groups=GROUPS[self.groups](),
                batch_size=batch_size,
                **{name: value for name, value in (fixed | arguments).items() if name != "num_samples"},
            )
            for rank in range(num_replicas)
        ]

    def start_of(self, epoch: int) -> Place:
        items = _items(replace(self, drop_last=False), epoch)
        return Place(epoch=epoch, items=items, left=tuple(range(len(items))), num_samples=self.num_samples)


@lru_cache(maxsize=2000)
def _items(stream: Stream, epoch: int) -> tuple[Any, ...]:
    """All of an epoch, as one rank reads it from its start; of torch's order as torch draws it."""
    if (stream.order, stream.groups) == ("randperm", "samples"):
        generator = torch.Generator().manual_seed(stream.seed + epoch)
        return tuple(torch.randperm(stream.num_samples, generator=generator).tolist())
    [alone] = stream.ranks(1, 1)
    alone.set_epoch(epoch)
    return tuple(islice(alone, MOST_ENDLESS))


class Broken(PackedDataset[int]):
    """Gives each sample, or pack, as itself; some cannot be loaded."""

    def __init__(self, num_samples: int, broken: set[int]) -> None:
        super().__init__(range(num_samples))  # type: ignore[arg-type]
        self.broken = broken

    def __getitem__(self, sample: Any) -> Any:
        if not isinstance(sample, list) and sample in self.broken:
            raise OSError(sample)
        return sample


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A state, and where the oracle says that the job stood."""

    state: dict[str, Any] | None
    place: Place
    stream: Stream


class History:
    """One history."""

    def __init__(self, draws: random.Random) -> None:
        self.random = draws
        order = self.random.choice([name for name in ORDERS for _ in range(1 if "mixture" in name else 3)])
        self.stream = Stream(
            order=order,
            groups=self.random.choice([*["samples"] * 6, *GROUPS]),
            num_samples=NUM_SAMPLES
            if "mixture" in order
            else self.random.choice(NUMBERS_OF_SAMPLES["endless" in order]),
            seed=self.random.randrange(3),
            drop_last=self.random.choice([False, False, True, "global"]),
        )
        epoch = 0 if self.stream.is_endless else self.random.randrange(3)
        self.saves = [Saved(state=None, place=self.stream.start_of(epoch), stream=self.stream)]

    def run(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            saved = self.random.choice([self.saves[-1]] * 4 + self.saves)
            Life(self, saved).run()

    def happens(self, probability: float) -> bool:
        return self.random.random() < probability


class Life:
    """One life of the job, from a state to where it dies."""

    def __init__(self, history: History, saved: Saved) -> None:
        self.history, self.random = history, history.random
        self.num_replicas, self.batch_size = self._layout(saved.stream)
        self.stream, allow = self._description(saved)
        self.samplers = self.stream.ranks(self.num_replicas, self.batch_size)
        self.reader = self.random.choice(READERS[: 2 if self.num_replicas > 8 else None])
        self.whole_batches = self.reader != "samples" and history.happens(0.2)
        self.broken: set[int] = set()
        self.is_named = False
        """Whether the epoch of the pass that comes was named."""
        self.loaders = [self._loader(sampler) for sampler in self.samplers]
        self.place = self._loaded(saved, allow)

    def _layout(self, stream: Stream) -> tuple[int, int]:
        if stream.drop_last == "global":
            num_replicas = 4 if stream.makes_batches else self.random.choice([1, 2, 3, 4, 6, 12])
            return num_replicas, 1 if stream.makes_batches else GLOBAL_BATCH // num_replicas
        num_replicas = self.random.choice([1, 1, self.random.randint(1, 4), self.random.randint(1, 8)])
        if self.history.happens(0.03):
            num_replicas = self.random.randint(9, 64)
        return num_replicas, 1 if stream.makes_batches else self.random.randint(1, 6)

    def _description(self, saved: Saved) -> tuple[Stream, list[str]]:
        """What the program says this time, and what it allows to differ."""
        stream = saved.stream
        can_change = saved.state is not None and not saved.state["finished"] and stream.drop_last != "global"
        if not can_change or not self.history.happens(0.25):
            return stream, []
        is_plain = stream.groups == "samples"
        if stream.order in ONCE or (stream.order == "endless" and is_plain):
            return replace(stream, num_samples=stream.num_samples + self.random.choice(NUMBERS_ADDED)), [
                "stream.num_samples"
            ]
        if stream.order == "endless mixture" and is_plain:
            weights = self.random.choice([FIRST_WEIGHTS, (1, 1, 1), (0, 2, 5), (3, 0, 1)])
            return replace(stream, weights=weights), [] if weights == FIRST_WEIGHTS else ["stream.parameters"]
        return stream, []

    def _loader(self, sampler: ResumableDistributedSampler) -> Any:
        if self.reader == "samples":
            return sampler
        batches = ResumableBatchSampler(sampler, drop_last=self.whole_batches)
        data = Broken(self.stream.num_samples, self.broken)
        if self.reader == "batches":
            return batches
        if self.reader == "loader":
            return ResumableDataLoader(data, batch_sampler=batches, collate_fn=list)
        return DataLoader(data, batch_sampler=batches, collate_fn=list)

    def _loaded(self, saved: Saved, allow: list[str]) -> Place:
        """Load the state, with the epoch named before, after or not at all."""
        place = saved.place
        is_over = not place.left
        if saved.state is None:
            return self._named(place, place.epoch)
        if self.history.happens(0.1):
            self._refuse(saved.state)
        epochs = [place.epoch, place.epoch + 1] if is_over and not self.stream.is_endless else [place.epoch]
        epoch, when = self.random.choice(epochs), self.random.choice(["before", "after", "never"])
        if when == "before":
            self._set_epoch(epoch)
        self.is_named = when == "before"
        if when != "after" and not is_over and not self.stream.is_endless and self.history.happens(0.05):
            self._refuse_epoch(saved.state, place.epoch + 1, allow)
        before = copy.deepcopy(saved.state)
        for loader, sampler in zip(self.loaders, self.samplers, strict=True):
            (loader if hasattr(loader, "load_state_dict") else sampler).load_state_dict(saved.state, allow=allow)
        assert before == saved.state
        if when == "after":
            self._set_epoch(epoch)
        place = self._amended(saved) if self.stream != saved.stream else place
        if epoch != place.epoch and when != "never":
            return self.stream.start_of(epoch)
        # A state from an epoch's end with no word about the next one is followed by a whole pass.
        return _whole(place) if is_over and when == "never" else place

    def _set_epoch(self, epoch: int) -> None:
        self.is_named = True
        for loader, sampler in zip(self.loaders, self.samplers, strict=True):
            (loader if hasattr(loader, "set_epoch") else sampler).set_epoch(epoch)

    def _named(self, place: Place, epoch: int) -> Place:
        self._set_epoch(epoch)
        return place

    def _refuse(self, state: dict[str, Any]) -> None:
        """A state of a different stream leaves a sampler as it is."""
        drop_last = "global" if self.stream.drop_last is False else False
        other = self.random.choice([{"seed": self.stream.seed + 7}, {"drop_last": drop_last}])
        [sampler, *_] = self.stream.ranks(self.num_replicas, self.batch_size, **other)
        before = sampler.state_dict()
        try:
            sampler.load_state_dict(state)
        except StateMismatchError:
            assert before == sampler.state_dict()
        else:
            raise AssertionError(f"a state was taken into a sampler with {other}")

    def _refuse_epoch(self, state: dict[str, Any], epoch: int, allow: list[str]) -> None:
        """A loop that begins elsewhere than the state is refused."""
        [sampler, *_] = self.stream.ranks(self.num_replicas, self.batch_size)
        sampler.set_epoch(epoch)
        try:
            sampler.load_state_dict(state, allow=allow)
        except StateMismatchError:
            return
        raise AssertionError(f"set_epoch({epoch}) was taken with {state}")

    def _amended(self, saved: Saved) -> Place:
        """What one rank reads of the changed stream, if that keeps the laws."""
        assert saved.state is not None
        place = saved.place
        if not place.left:
            return replace(place, num_samples=self.stream.num_samples)
        [witness] = self.stream.ranks(1, 1)
        witness.load_state_dict(saved.state, allow=["stream.num_samples", "stream.parameters"])
        read = place.items[: place.left[0]]
        items = (*read, *islice(witness, MOST_ENDLESS))
        if self.stream.order == "endless mixture":
            _check_members(self.stream, items)
        elif self.stream.is_endless and place.num_samples == self.history.stream.num_samples:
            _check_laps(place, items, self.stream.num_samples)
        elif not self.stream.is_endless:
            assert sorted(flat(items)) == list(range(self.stream.num_samples))
        left = tuple(range(len(read), len(items)))
        return replace(place, items=items, left=left, num_samples=self.stream.num_samples)

    def run(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            turns = self._turns(self.place)
            if self.history.happens(0.15) and not self.stream.is_endless and self.stream.groups == "samples":
                turns = self._skipped(turns)
            if self.stream.is_endless and turns.num_rows <= 2 * self.batch_size:
                return  # Of what comes then the oracle knows too little.
            if self.is_named and turns.place.left and self.history.happens(0.1):
                self._check_plan(turns)
            one = (OutOfOrder if self.history.happens(0.3) else InOrder)(self, turns)
            one.run()
            # A loaded state must be gone on with in its own epoch.
            if self.stream.is_endless or not one.may_leave or not (self.is_named or min(one.rows)):
                return
            self.place = one.leave()

    def _turns(self, place: Place) -> Turns:
        return Turns(
            place=place,
            num_replicas=self.num_replicas,
            batch_size=self.batch_size,
            drop_last=self.stream.drop_last,
            whole_batches=self.whole_batches,
        )

    def _skipped(self, turns: Turns) -> Turns:
        """Begin the epoch with a batch of it."""
        whole = self._turns(_whole(turns.place))
        number = self.random.randint(0, -(-whole.num_rows // self.batch_size))
        for loader, sampler in zip(self.loaders, self.samplers, strict=True):
            (loader if hasattr(loader, "start_iter") else sampler).start_iter = number
        self._set_epoch(turns.place.epoch)
        return whole.from_batch(number)

    def _check_plan(self, turns: Turns) -> None:
        """What is planned is what will come, on all ranks."""
        steps = self.random.randint(1, 3)
        if self.stream.is_endless and steps * self.batch_size >= turns.num_rows:
            return
        firsts = range(0, min(steps * self.batch_size, turns.num_rows), self.batch_size)
        expected = [[self.batch(turns, first, rank) for rank in range(self.num_replicas)] for first in firsts]
        assert expected == plan(self.random.choice(self.samplers), turns.place.epoch, steps)

    def batch(self, turns: Turns, row: int, rank: int) -> list[Any]:
        """A batch as a loader gives it: where groups are batches, that one."""
        items = turns.batch(row, rank)
        return items[0] if self.stream.makes_batches else items

    def save(self, state: dict[str, Any], place: Place) -> None:
        """Compare a state with the place, and keep it."""
        state = json.loads(json.dumps(state))
        expected = place.state
        assert expected == {name: state[name] for name in expected}
        self.history.saves.append(Saved(state=state, place=place, stream=self.stream))


class Pass:
    """One pass over an epoch, by all ranks."""

    may_leave = True
    """Whether the process may go on with the next epoch."""
    is_over = False
    """Whether it was read to its end, and nothing was committed: a next pass, unnamed, is then this epoch once more."""

    def __init__(self, life: Life, turns: Turns) -> None:
        self.life, self.turns, self.random = life, turns, life.random
        self.iterators: list[Iterator[Any]] = [iter(loader) for loader in life.loaders]
        self.rows = [0] * life.num_replicas
        """How many rows each rank has drawn."""

    def draw(self, rank: int) -> list[int]:
        """Let a rank draw a batch, or a sample; return the rows."""
        row = self.rows[rank]
        if self.life.reader == "samples":
            drawn, num_rows = next(self.iterators[rank], None), 1
            expected = self.turns.item(row, rank) if row < self.turns.num_rows else None
        else:
            num_rows = self.life.batch_size
            expected = self.life.batch(self.turns, row, rank) if row < self.turns.num_rows else None
            drawn = next(self.iterators[rank], None)
        assert expected == drawn, (expected, drawn, rank, row)
        rows = [*range(row, min(row + num_rows, self.turns.num_rows))]
        self.rows[rank] += len(rows)
        return rows

    @property
    def has_room(self) -> bool:
        """Whether the oracle knows what comes next; it ends an endless stream somewhere."""
        num_ahead = self.life.batch_size + 1
        return not self.life.stream.is_endless or max(self.rows) + num_ahead < self.turns.num_rows

    def leave(self) -> Place:
        """Go on with a later epoch, with the same one again, or with a state of before."""
        life = self.life
        own = [saved for saved in life.history.saves[1:] if saved.stream == life.stream and saved.place.left]
        if own and min(self.rows) and life.history.happens(0.15):
            saved, life.is_named = self.random.choice(own), False
            for loader, sampler in zip(life.loaders, life.samplers, strict=True):
                (loader if hasattr(loader, "load_state_dict") else sampler).load_state_dict(saved.state)
            return saved.place
        if self.is_over and life.history.happens(0.1):
            life.is_named = False
            return _whole(self.turns.place)
        epoch = self.turns.place.epoch + self.random.choice([1, 1, 1, 2])
        return life._named(life.stream.start_of(epoch), epoch)


class InOrder(Pass):
    """Ranks that train in step."""

    def __init__(self, life: Life, turns: Turns) -> None:
        super().__init__(life, turns)
        self.lag = self.random.randint(0, 2) if life.reader != "samples" and life.history.happens(0.4) else None
        """How many batches are not committed yet; None if none ever are."""
        self.batches = 0
        self.committed = 0
        self.failed: list[int] = []
        life.broken.clear()
        is_loaded = life.reader == "loader" and self.lag is None and life.num_replicas == 1
        if is_loaded and life.stream.groups == "samples" and life.history.happens(0.3):
            life.broken.update(self.random.sample(range(life.stream.num_samples), min(3, life.stream.num_samples)))
        self.skipped = turns.place.skipped
        self.done = 0

    def run(self) -> None:
        for _ in range(self.random.choice([0, 1, 2, 4, 8, 10 if self.life.stream.is_endless else 1000])):
            if not self.has_room:
                return
            is_over = self._step()
            self.is_over = is_over and self.lag is None and self.turns.num_rows > 0
            if not self.failed and not is_over and self.life.history.happens(0.15):
                self._look()
            if self.life.history.happens(0.1) or is_over:
                self._save()
            if is_over:
                return
        self._save()

    def _step(self) -> bool:
        """One step of all ranks; return whether the epoch is over."""
        if self.life.broken:
            return self._careful_step()
        for rank in range(self.life.num_replicas):
            self.draw(rank)
        self.batches += 1
        if self.lag is not None and self.batches - self.committed > self.lag and self.done < self.turns.num_rows:
            for loader, sampler in zip(self.life.loaders, self.life.samplers, strict=True):
                (loader if hasattr(loader, "commit") else sampler).commit(1)
            self.committed += 1
        self.done = self.rows[0]
        if self.lag is not None and self.committed:
            self.done = min(self.committed * self.life.batch_size, self.rows[0])
        return self.rows[0] >= self.turns.num_rows

    def _careful_step(self) -> bool:
        """One step of a loop that goes on behind a batch which could not be loaded."""
        row = self.rows[0]
        rows = [*range(row, min(row + self.life.batch_size, self.turns.num_rows))]
        expected: Any = self.turns.batch(row, 0) or None
        is_broken = bool(self.life.broken & {*(expected or ())})
        try:
            drawn = next(self.iterators[0], None)
        except OSError:
            assert is_broken
            self.failed += rows
        else:
            assert (expected, False) == (drawn, is_broken)
            borders = self.turns.place.borders
            self.skipped += tuple(borders[self.turns.place.left[one]] for one in self.failed)
            self.done, self.failed = row + len(rows), []
        self.rows[0] += len(rows)
        return not rows

    def _look(self) -> None:
        """Somebody looks; nothing is moved by it."""
        rank = self.random.randrange(self.life.num_replicas)
        loader = self.life.loaders[rank]
        if self.random.random() < 0.5 or self.life.stream.is_endless or self.life.broken:
            next(iter(self.life.samplers[rank]))
            return
        num_units = len(list(loader))
        unit = 1 if self.life.reader == "samples" else self.life.batch_size
        assert num_units == -(-self.turns.num_rows // unit)

    def _save(self) -> None:
        if not max(self.rows):
            return
        place = replace(self.turns.behind(self.done), skipped=self.skipped)
        states = [
            (loader if hasattr(loader, "state_dict") else sampler).state_dict()
            for loader, sampler in zip(self.life.loaders, self.life.samplers, strict=True)
        ]
        assert states == states[:1] * len(states)
        if self.lag is None and not self.failed and not self.life.stream.is_endless:
            assert self.turns.num_rows - self.done == self.life.samplers[-1].remaining
        self.life.save(states[0], place)


class OutOfOrder(Pass):
    """Ranks that draw and finish each in an order of its own."""

    def __init__(self, life: Life, turns: Turns) -> None:
        super().__init__(life, turns)
        life.broken.clear()
        self.in_flight: list[list[tuple[int | None, Any]]] = [[] for _ in self.rows]
        self.finished: set[int] = set()
        self.has_committed = [False] * life.num_replicas

    def run(self) -> None:
        if not self.life.is_named:
            # Where a pass follows that nobody has named, ranks that have not begun it stand at the end of the one before.
            for rank in range(self.life.num_replicas):
                self._draw(rank)
        for _ in range(self.random.choice([5, 15, 40])):
            if not self.has_room:
                break
            rank = self.random.randrange(self.life.num_replicas)
            if self.life.history.happens(0.55):
                self._draw(rank)
            elif self.in_flight[rank]:
                self._finish(rank, self.random.randint(1, 3))
            if self.life.history.happens(0.02):
                self._save()
        self._save()
        self.may_leave = self.life.history.happens(0.5)
        if self.may_leave:
            self._finish_all()

    def _finish_all(self) -> None:
        """Commit what is in flight, without which an epoch is not left."""
        self._refuse_to_leave()
        for rank, in_flight in enumerate(self.in_flight):
            while in_flight:
                self._finish(rank, len(in_flight))
        self._save()

    def _draw(self, rank: int) -> None:
        rows = self.draw(rank)
        self.in_flight[rank] += [(self.turns.number(row, rank), self.turns.item(row, rank)) for row in rows]

    def _finish(self, rank: int, num_items: int) -> None:
        """Commit some; of equal ones that are in flight, the first is meant."""
        chosen: list[Any] = []
        # Groups that hold samples of an endless run several times can only be told from each other one by one.
        num_items = 1 if self.life.stream.groups != "samples" else num_items
        for _ in range(min(num_items, len(self.in_flight[rank]))):
            item = self.random.choice(self.in_flight[rank])[1]
            place = next(place for place, (_, one) in enumerate(self.in_flight[rank]) if _like(one, item))
            number, item = self.in_flight[rank].pop(place)
            self.finished |= {number} if number is not None else set()
            chosen.append(item)
        if chosen:
            self.life.samplers[rank].commit(flat(chosen))
            self.has_committed[rank] = True

    def _refuse_to_leave(self) -> None:
        epoch = self.turns.place.epoch + 1
        for sampler, in_flight, has in zip(self.life.samplers, self.in_flight, self.has_committed, strict=True):
            if in_flight and has and not self.life.stream.is_endless:
                try:
                    sampler.set_epoch(epoch)
                except ValueError:
                    continue
                raise AssertionError("an epoch was left with samples in flight")

    def _save(self) -> None:
        state = joint_state(self.life.samplers)
        if self.life.num_replicas == 1 and self.has_committed[0]:
            assert state == self.life.samplers[0].state_dict()
        self.life.save(state, self.turns.without(self.finished))


def _whole(place: Place) -> Place:
    """The same epoch once more."""
    return replace(place, left=tuple(range(len(place.items))), skipped=())


def _like(one: Any, other: Any) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, list) else one == other


def _check_members(stream: Stream, items: tuple[Any, ...]) -> None:
    """Whatever the weights, a member's samples come in the one order that it has."""
    reference, first = _items(replace(stream, drop_last=False, weights=FIRST_WEIGHTS), 0), 0
    for size in SIZES:
        theirs, ours = ([one for one in row if first <= one < first + size] for row in (reference, items))
        assert all(one == other for one, other in zip(theirs, ours, strict=False))
        first += size


def _check_laps(place: Place, items: tuple[Any, ...], num_samples: int) -> None:
    """The lap under way gets what is left of it, and what is new; the next ones are whole."""
    start = place.borders[place.left[0]]
    lap_start = start - start % place.num_samples
    for first in range(lap_start, len(items) - num_samples, num_samples):
        assert sorted(items[first : first + num_samples]) == list(range(num_samples))


def main() -> int:
    """Run them; 0 if none disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "the stream is amended from here on")
    begin, failed = time.monotonic(), []
    for number in range(arguments.first, arguments.first + arguments.num_histories):
        try:
            History(random.Random(f"history/{number}")).run()
        except Exception:
            failed.append(number)
            print(f"history {number} disagrees", traceback.format_exc(), sep="\n", flush=True)
        if (number + 1) % 1000 == 0:
            print(f"{number + 1 - arguments.first} histories, {len(failed)} disagree", flush=True)
    seconds = time.monotonic() - begin
    print(f"{arguments.num_histories} histories in {seconds:.0f} s, disagreeing: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
