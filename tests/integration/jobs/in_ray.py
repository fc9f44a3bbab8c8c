"""Ray Train, two workers, saved after every third step, rank 1 killed once: FOLDER KILLED_AFTER_STEP [careless] [hasty]."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(RAY_TRAIN_V2_ENABLED="1", RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")

import ray
import ray.train
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, prepare_model
from torch.utils.data import TensorDataset

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler


def save(parts, step):
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if ray.train.get_context().get_world_rank() == 0:
            state = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**state, "step": step}, f"{folder}/state.pt")
            checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"step": step}, checkpoint=checkpoint)


def train(config):
    rank, died = ray.train.get_context().get_world_rank(), Path(config["folder"]) / "died"
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(80, 4), torch.randn(80, 1))
    model = prepare_model(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sampler = ResumableDistributedSampler(data, batch_size=8)
    loader = ResumableDataLoader(data, sampler=sampler)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "loader": loader}
    step = 0
    if ray.train.get_checkpoint() is not None:
        with ray.train.get_checkpoint().as_directory() as folder:
            state = torch.load(f"{folder}/state.pt")
        for name, part in parts.items():
            if name != "loader" or not config["is_careless"]:
                part.load_state_dict(state[name])
        step = state["step"]
    for epoch in range(sampler.epoch, 3):
        loader.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
            step += 1
            if step % 3 == 0:
                save(parts, step)
                # Ray takes note of a checkpoint a while after it was handed over; before, it goes on with the one before.
                time.sleep(3 if step + 1 == config["killed_after"] and not config["is_hasty"] else 0)
            if step == config["killed_after"] and rank == 1 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    folder, words = Path(sys.argv[1]).absolute(), sys.argv[3:]
    folder.mkdir(exist_ok=True)
    config = {"folder": str(folder), "killed_after": int(sys.argv[2])}
    config |= {f"is_{word}": word in words for word in ("careless", "hasty")}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as sessions:
        ray.init(num_cpus=3, include_dashboard=False, object_store_memory=100 * 2**20, _temp_dir=sessions)
        TorchTrainer(
            train,
            train_loop_config=config,
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(name="job", storage_path=str(folder), failure_config=FailureConfig(max_failures=2)),
        ).fit()
        ray.shutdown()
