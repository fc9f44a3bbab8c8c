"""What all stacks train on: 120 numbers, four to a batch and rank, three epochs, a checkpoint after every third step."""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

NUM_SAMPLES = 120
BATCH_SIZE = 4
NUM_EPOCHS = 3
SAVE_EVERY = 3
"""Steps. An epoch of two ranks has 15, so that one checkpoint in five lies on a border."""


class Numbers(Dataset[Tensor]):
    """Each sample is its own index as a number; augmentation adds a little noise, drawn where the sample is fetched."""

    def __init__(self, is_augmented: bool) -> None:
        self._is_augmented = is_augmented

    def __len__(self) -> int:
        return NUM_SAMPLES

    def __getitem__(self, index: int) -> Tensor:
        return shaken(torch.tensor([index / NUM_SAMPLES]), is_wanted=self._is_augmented)


def shaken(value: Tensor, *, is_wanted: bool) -> Tensor:
    """A sample with its augmentation."""
    return value + torch.rand(1) / 10 if is_wanted else value


def options(*ways: str) -> argparse.Namespace:
    """`way`: how the script resumes, where there is a choice; `workers`, `augment`."""
    parser = argparse.ArgumentParser()
    if ways:
        parser.add_argument("way", choices=ways)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--augment", action="store_true")
    return parser.parse_args()


def network() -> nn.Module:
    """The same on every rank and in every run."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """With a state of its own."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    """How far the network is from the square of a number."""
    return nn.functional.mse_loss(model(batch), batch.square())
