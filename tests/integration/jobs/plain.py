"""DDP, saved after each step, killed once after each STEP: FOLDER STEP[,STEP...] [careless] [slow] [held] [spawn PORT]."""

import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

BATCHES = 5
HELD_AFTER = 7


def train(folder: Path, killed_after: set[int], *, is_careless: bool) -> None:
    dist.init_process_group("gloo")
    rank, checkpoint = dist.get_rank(), folder / "last.pt"
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(BATCHES * 16, 4), torch.randn(BATCHES * 16, 1))
    sampler = DistributedSampler(data, seed=1)
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"]
    offset = 7 if is_careless and done else 0
    for epoch in range(done // BATCHES, 3):
        sampler.set_epoch(epoch + offset)
        for number, (x, y) in enumerate(DataLoader(data, batch_size=8, sampler=sampler)):
            if epoch * BATCHES + number < done:
                continue
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
            done += 1
            if rank == 0:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": done}
                torch.save(state, folder / "draft")
                (folder / "draft").replace(checkpoint)
            dist.barrier()
            time.sleep(0.5 if "slow" in sys.argv else 0)
            while "held" in sys.argv and done == HELD_AFTER and not (folder / "go").exists():
                time.sleep(0.1)
            died = folder / f"died-{done}"
            if done in killed_after and rank == dist.get_world_size() - 1 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
    dist.destroy_process_group()


def spawned(rank: int, folder: Path, killed_after: set[int], is_careless: bool) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[-1])
    train(folder, killed_after, is_careless=is_careless)


if __name__ == "__main__":
    folder, is_careless = Path(sys.argv[1]), "careless" in sys.argv
    killed_after = set(map(int, sys.argv[2].split(",")))
    folder.mkdir(exist_ok=True)
    if "spawn" in sys.argv:
        spawn(spawned, (folder, killed_after, is_careless), nprocs=2)
    else:
        train(folder, killed_after, is_careless=is_careless)
