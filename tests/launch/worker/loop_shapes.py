"""Training loops of many shapes, each of which writes down itself which batches its optimizer steps were made of.

A loop that was misread becomes a word of this grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import combinations, product
from random import Random
from typing import Any, Literal, get_args, get_type_hints

import torch
from torch.func import functional_call, grad
from torch.utils.data import DataLoader, Dataset

NUM_BATCHES = 7
NUM_EPOCHS = 2
BATCH_SIZE = 2
FIRST_INDEX = (0, 100, 200)
"""Of the samples of each loader; the last one is for validation."""
Key = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a loop does; the default is a plain one."""

    loaders: Literal["one", "in turns", "side by side", "labels only"] = "one"
    accumulation: Literal[1, 2, 3] = 1
    rest: Literal["stepped on", "kept", "let go"] = "stepped on"
    """What becomes of a window of accumulation that is open when the epoch ends."""
    fetch: Literal["one by one", "a step at once", "one ahead"] = "one by one"
    validation: Literal["none", "no grad", "grad", "broken off", "in between"] = "none"
    let_go: Literal["none", "not looked at", "without backward", "after backward"] = "none"
    """Some batches are not trained on, or all that waits for a step is dropped with them."""
    start: Literal["at once", "fast-forward", "an epoch forward", "warm-up", "warm-up with step"] = "at once"
    zero: Literal["to none", "to zero", "before backward"] = "to none"
    inputs: Literal["as they are", "views", "parts", "nested", "copies", "scaled"] = "as they are"
    model: Literal["module", "several", "functional"] = "module"
    update: Literal[
        "plain",
        "clipped",
        "closure",
        "sharpness",
        "penalty",
        "two losses",
        "scaler",
        "two optimizers",
        "by hand",
        "transformed",
    ] = "plain"
    """By hand: no backward pass, what `torch.autograd.grad` gives becomes the gradients, or what `torch.func.grad` does."""
    optimizer: Literal["of torch", "of a library", "of the script"] = "of torch"
    """Of a library: it holds groups of parameters as one of torch's does. Of the script: nothing shows whose they are."""

    def __str__(self) -> str:
        plain = Shape()
        said = [
            f"{one.name} {getattr(self, one.name)}"
            for one in fields(self)
            if getattr(self, one.name) != getattr(plain, one.name)
        ]
        return ", ".join(said) or "plain"


@dataclass(kw_only=True)
class Ledger:
    """Which batches the gradients are of that are there now, and what every step was made of."""

    gradients: list[Key] = field(default_factory=list)
    steps: list[list[Key]] = field(default_factory=list)

    def add(self, *keys: Key) -> None:
        self.gradients += [key for key in keys if key not in self.gradients]

    def clear(self) -> None:
        self.gradients = []

    def step(self) -> None:
        self.steps.append(list(self.gradients))


class Numbers(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A sample is made of its index."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((3,), index / 300), torch.tensor(index)

    def __len__(self) -> int:
        return 300


class Labels(Numbers):
    """What looks like another loader's data set is another one's."""


class Squares(torch.nn.Module):
    """A model of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)

    def forward(self, x: Any) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x["x"] if isinstance(x, dict) else x)))


class Momentum:
    """An optimizer that is none of torch's, and changes parameters behind the back of autograd's count of changes."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self.trained = list(parameters)
        self.state: dict[torch.Tensor, dict[str, torch.Tensor]] = {}

    def step(self) -> None:
        for parameter in self.trained:
            if parameter.grad is not None:
                average = self.state.setdefault(parameter, {"average": torch.zeros_like(parameter)})["average"]
                average.mul_(0.9).add_(parameter.grad)
                parameter.data.sub_(average, alpha=1e-3)

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        for parameter in self.trained:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()


class GroupedMomentum(Momentum):
    """The same, which shows what it trains."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.trained, "lr": 1e-3}]


class Bound(torch.nn.Module):
    """A model with its loss."""

    def __init__(self, model: torch.nn.Module, loss: Callable[[list[Any]], torch.Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batches: list[Any]) -> torch.Tensor:
        return self.loss(batches)


def key_of(batch: Any) -> Key:
    return tuple(batch[1].tolist())


def loader(number: int, dataset: type[Numbers] = Numbers) -> DataLoader[Any]:
    first = FIRST_INDEX[number]
    order = [(index * 5) % (NUM_BATCHES * BATCH_SIZE) + first for index in range(NUM_BATCHES * BATCH_SIZE)]
    return DataLoader(dataset(), batch_size=BATCH_SIZE, sampler=order)


class Loop:
    """One run of a loop.

    Args:
        shape: What it does.
    """

    def __init__(self, shape: Shape) -> None:
        torch.manual_seed(0)
        self.shape = shape
        self.ledger = Ledger()
        self.model = Squares()
        self.optimizer = self._optimizer()
        self.second = torch.optim.SGD(self.model.parameters(), lr=1e-4) if shape.update == "two optimizers" else None
        self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1000)
        self.loaders = [loader(0)] if shape.loaders == "one" else [loader(0), loader(1, Labels)]
        self.num_open = 0
        self.number = 0

    def run(self) -> list[list[Key]]:
        """Train; returns the batches that every step was made of, those of a warm-up left out."""
        self._warm_up()
        if self.shape.start == "an epoch forward":
            for one in self.loaders:
                for _ in one:
                    pass
        for epoch in range(NUM_EPOCHS):
            self._epoch(epoch)
        if self.shape.update == "penalty":
            self.model.zero_grad()  # gradients with a graph hold themselves for good
        return self.ledger.steps

    def _optimizer(self) -> Any:
        if self.shape.optimizer != "of torch":
            return (GroupedMomentum if self.shape.optimizer == "of a library" else Momentum)(self.model.parameters())
        if self.shape.update == "closure":
            return torch.optim.LBFGS(self.model.parameters(), lr=1e-3, max_iter=3)
        return torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)

    def _warm_up(self) -> None:
        if self.shape.start.startswith("warm-up"):
            self.model(torch.ones(2, 3)).sum().backward()
            if self.shape.start == "warm-up with step":
                self.optimizer.step(*([lambda: torch.tensor(0.0)] if self.shape.update == "closure" else []))
            self.optimizer.zero_grad()

    def _epoch(self, epoch: int) -> None:
        groups = self._fetched(epoch)
        for group in groups:
            for batches in group:
                self._look_at(batches)
        if self.num_open and self.shape.rest == "stepped on":
            self._step()
        elif self.num_open and self.shape.rest == "let go":
            self._zero()
            self.num_open = 0
        self._validate(at_end=True)

    def _fetched(self, epoch: int) -> Iterator[list[list[Any]]]:
        """Groups of what is received together: of each, what is trained on at once."""
        received = self._received(epoch)
        if self.shape.fetch == "one ahead":
            ahead = next(received, None)
            while ahead is not None:
                now, ahead = ahead, next(received, None)
                yield [now]
            return
        size = self.shape.accumulation if self.shape.fetch == "a step at once" else 1
        while group := [one for _, one in zip(range(size), received, strict=False)]:
            yield group

    def _received(self, epoch: int) -> Iterator[list[Any]]:
        iterators = [iter(one) for one in self.loaders]
        skipped = 3 if epoch == 0 and self.shape.start == "fast-forward" else 0
        for number in range(NUM_BATCHES):
            row = [next(iterator) for iterator in iterators] if self.shape.loaders != "in turns" else None
            if row is not None:
                if number >= skipped:
                    yield row
                continue
            for iterator in iterators:
                batch = next(iterator)
                if number >= skipped:
                    yield [batch]
        for iterator in iterators:
            next(iterator, None)

    def _look_at(self, batches: list[Any]) -> None:
        self.number += 1
        is_bad = self.shape.let_go != "none" and self.number % 5 == 2
        if is_bad and self.shape.let_go == "not looked at":
            return
        if self.shape.validation == "in between" and self.number % 4 == 0:
            self._validate(at_end=False)
        if self.shape.zero == "before backward" and not self.num_open:
            self._zero()
        if is_bad and self.shape.let_go == "without backward":
            self._loss(batches)
            return
        if self.shape.update in ("closure", "sharpness") and not is_bad:
            self._closure_step(batches)
            return
        self._backward(batches)
        if is_bad:
            self._zero()
            self.num_open = 0
            return
        self.num_open += 1
        if self.num_open == self.shape.accumulation:
            self._step()

    def _keys(self, batches: list[Any]) -> list[Key]:
        return [key_of(batch) for batch in batches]

    def _backward(self, batches: list[Any]) -> None:
        if self.shape.update in ("by hand", "transformed"):
            self._add_gradients(batches)
            self.ledger.add(*self._keys(batches))
            return
        loss = self._loss(batches)
        if self.shape.update == "two losses":
            (loss * 0.5).backward(retain_graph=True)
            loss = loss * 0.5
        if self.shape.update == "scaler":
            if self.number % 4 == 1:
                loss = loss * float("inf")
            loss = self.scaler.scale(loss)
        loss.backward()
        self.ledger.add(*self._keys(batches))

    def _add_gradients(self, batches: list[Any]) -> None:
        named = dict(self.model.named_parameters())
        if self.shape.update == "by hand":
            gradients = torch.autograd.grad(self._loss(batches), list(named.values()))
        else:
            bare = {f"model.{name}": parameter.detach() for name, parameter in named.items()}
            found = grad(lambda values: functional_call(Bound(self.model, self._loss), values, (batches,)))(bare)
            gradients = tuple(found.values())
        for parameter, gradient in zip(named.values(), gradients, strict=True):
            parameter.grad = gradient.detach() if parameter.grad is None else parameter.grad + gradient.detach()

    def _step(self) -> None:
        self.num_open = 0
        if self.shape.update == "clipped":
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1e-3)
        if self.shape.update == "scaler":
            scale = self.scaler.get_scale()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.scaler.get_scale() >= scale:
                self.ledger.step()
        else:
            self.optimizer.step()
            self.ledger.step()
        if self.second is not None:
            self.second.step()
        if self.shape.zero != "before backward":
            self._zero()
        else:
            self.ledger.clear()

    def _closure_step(self, batches: list[Any]) -> None:
        """The loss is computed more than once for a step, and the gradients of all but the last time are let go."""

        def closure() -> torch.Tensor:
            self.optimizer.zero_grad(set_to_none=self.shape.zero != "to zero")
            loss = self._loss(batches)
            loss.backward()
            return loss

        if self.shape.update == "closure":
            self.optimizer.step(closure)
        else:
            closure()
            with torch.no_grad():
                moves = [0.01 * parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
                for parameter, move in zip(self.model.parameters(), moves, strict=True):
                    parameter.add_(move)
            closure()
            with torch.no_grad():
                for parameter, move in zip(self.model.parameters(), moves, strict=True):
                    parameter.sub_(move)
            self.optimizer.step()
        self.ledger.add(*self._keys(batches))
        self.ledger.step()
        self._zero()

    def _zero(self) -> None:
        self.optimizer.zero_grad(set_to_none=self.shape.zero != "to zero")
        self.ledger.clear()

    def _loss(self, batches: list[Any]) -> torch.Tensor:
        if self.shape.loaders == "labels only" and len(batches) > 1:
            return (self._output(batches[0]) - batches[1][0][:, :1]).square().mean()
        losses = [self._output(batch).square().mean() for batch in batches]
        loss = torch.stack(losses).sum()
        if self.shape.update == "penalty":
            gradients = torch.autograd.grad(loss, list(self.model.parameters()), create_graph=True)
            loss = loss + 0.1 * torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        return loss

    def _output(self, batch: Any) -> torch.Tensor:
        x = batch[0]
        changed: dict[str, Callable[[], Any]] = {
            "as they are": lambda: x,
            "views": lambda: x.view(-1).reshape(len(x), 3),
            "parts": lambda: x[:1],
            "nested": lambda: {"x": x, "ids": [batch[1]]},
            "copies": x.clone,
            "scaled": lambda: x / 2,
        }
        x = changed[self.shape.inputs]()
        match self.shape.model:
            case "functional":
                first, second = self.model.first, self.model.second
                hidden = torch.tanh(torch.nn.functional.linear(x, first.weight, first.bias))
                return torch.nn.functional.linear(hidden, second.weight, second.bias)
            case "several":
                return self.model.second(torch.tanh(self.model.first(x)))
        return self.model(x)

    def _validate(self, *, at_end: bool) -> None:
        if self.shape.validation == "none" or (self.shape.validation == "in between") == at_end:
            return
        with torch.set_grad_enabled(self.shape.validation != "no grad"):
            for number, batch in enumerate(loader(2)):
                self._output(batch)
                if number == 2 and self.shape.validation in ("broken off", "in between"):
                    break


def is_possible(shape: Shape) -> bool:
    """Whether there is such a loop, and anything that could tell what it does: order alone does not tell everything."""
    is_closure = shape.update in ("closure", "sharpness")
    is_told_by_order = shape.inputs in ("copies", "scaled") or shape.model == "functional"
    is_plain = (
        (shape.loaders == "one" or (shape.loaders == "in turns" and shape.accumulation == 1 and shape.let_go == "none"))
        and shape.fetch == "one by one"
        and shape.validation in ("none", "no grad", "grad")
        and shape.start in ("at once", "fast-forward", "an epoch forward")
    )
    is_by_hand = shape.update in ("by hand", "transformed")
    is_shown_by_hand = (
        shape.let_go in ("none", "not looked at")
        and shape.rest != "let go"
        and shape.validation in ("none", "no grad")
        and not shape.start.startswith("warm-up")
        and not (shape.accumulation > 1 and (is_told_by_order or shape.loaders == "labels only"))
    )
    is_simple = shape.update in ("plain", "clipped", "penalty", "two losses") and shape.start != "warm-up with step"
    return (
        (is_shown_by_hand or not is_by_hand)
        and (is_simple or shape.optimizer == "of torch")
        and not (is_closure and (shape.accumulation > 1 or shape.zero == "before backward"))
        and not (is_told_by_order and not is_plain)
        and not (shape.rest == "kept" and shape.zero == "before backward")
        and not (shape.model == "functional" and shape.inputs == "nested")
        and not (shape.model == "several" and shape.inputs == "nested")
        and not (
            shape.loaders == "labels only"
            and (shape.inputs == "parts" or shape.let_go != "none" or shape.fetch != "one by one")
        )
    )


def shapes(num_pairs: int, num_mixed: int) -> list[Shape]:
    """The plain one, every one that differs from it in one thing, some that differ in two, and some in many."""
    words = {name: get_args(kind) for name, kind in get_type_hints(Shape).items()}
    random = Random(0)
    singles = [Shape(**{name: value}) for name, values in words.items() for value in values]
    pairs = [
        Shape(**{one: first, two: second})
        for one, two in combinations(words, 2)
        for first, second in product(words[one], words[two])
    ]
    mixed = [Shape(**{name: random.choice(values) for name, values in words.items()}) for _ in range(20 * num_mixed)]
    found = [
        *singles,
        *random.sample([shape for shape in pairs if is_possible(shape)], num_pairs),
        *[shape for shape in mixed if is_possible(shape)][:num_mixed],
    ]
    return list(dict.fromkeys(found))
