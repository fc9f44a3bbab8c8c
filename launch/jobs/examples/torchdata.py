"""torchdata's StatefulDataLoader that goes on with exactly the next batch, wherever it was killed.

resumable verify --nproc-per-node 2 train.py --epochs 2
"""

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from resumable.samplers import ResumableBatchSampler, ResumableDistributedSampler

CHECKPOINT = Path("checkpoint.pt")
"""In the working directory; `resumable verify` gives each run one of its own."""


def save(parts: dict[str, Any], step: int) -> None:
    """Write everything that decides how training goes on, every rank's random state included."""
    random_states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(random_states, torch.get_rng_state())
    if dist.get_rank() == 0:
        state = {name: part.state_dict() for name, part in parts.items()}
        draft = CHECKPOINT.with_suffix(".draft")
        torch.save({**state, "random": random_states, "step": step}, draft)
        draft.replace(CHECKPOINT)  # there as a whole, or still the one before
    dist.barrier()


def load(parts: dict[str, Any]) -> int:
    """Go on where the checkpoint was written; returns the number of steps done."""
    if not CHECKPOINT.exists():
        return 0
    state = torch.load(CHECKPOINT, weights_only=True, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    if len(state["random"]) == dist.get_world_size():
        torch.set_rng_state(state["random"][dist.get_rank()])
    return int(state["step"])


def main() -> None:
    """Train, saving after every fifth step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    epochs = parser.parse_args().epochs
    dist.init_process_group("gloo")  # on GPUs: "nccl", and model and batches go to the rank's device
    torch.manual_seed(0)  # the same data and the same first weights on every rank
    data = TensorDataset(torch.randn(256, 16), torch.randint(0, 4, (256,)))
    network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 4))
    model = DistributedDataParallel(network)
    torch.manual_seed(1 + dist.get_rank())  # but dropout of its own
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
    sampler = ResumableBatchSampler(ResumableDistributedSampler(data, batch_size=8))
    own = torch.Generator().manual_seed(0)  # or each new iterator would draw from the random state that was just loaded
    loader = StatefulDataLoader(data, batch_sampler=sampler, generator=own)
    parts = {"model": network, "optimizer": optimizer, "schedule": schedule, "loader": loader}
    step = load(parts)
    for epoch in range(step // len(loader), epochs):  # the loader hands on its state when it is iterated
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step % 5 == 0:
                save(parts, step)
    print(f"trained {step} steps")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
