"""Trains a small network in one of many ways and writes all that it has come to into `result-<rank>.pt`.

    watched.py WAY

Beside parameters, optimizer state and losses that is what `torch.compile` has counted: graphs, their breaks, and why any was
compiled again.
"""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

WAY = sys.argv[1]
RANK, WORLD_SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


class Residual(torch.nn.Module):
    """Adds what its block makes of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(width)
        self.block = torch.nn.Sequential(
            torch.nn.Linear(width, 3 * width), torch.nn.GELU(), torch.nn.Linear(3 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(self.norm(x))


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(8, 16), Residual(16), torch.nn.Dropout(0.2), Residual(16), torch.nn.Linear(16, 1)
    )


def broken() -> None:
    """No graph goes through this."""
    torch._dynamo.graph_break()


def counted() -> dict[str, dict[str, int]]:
    counters = (
        sys.modules["torch._dynamo.utils"].counters if "torch._dynamo.utils" in sys.modules else defaultdict(Counter)
    )
    counts = {name: {str(key): number for key, number in counters[name].items()} for name in ("stats",)}
    return counts | {name: {"all": sum(counters[name].values())} for name in ("graph_break", "recompiles")}


def whole(value: Any) -> Any:
    return value.full_tensor() if isinstance(value, DTensor) else value


dist.init_process_group("gloo", init_method=f"file://{Path('store').absolute()}", rank=RANK, world_size=WORLD_SIZE)
torch.manual_seed(7)
data = TensorDataset(torch.randn(96, 8), torch.randn(96, 1))
sampler = DistributedSampler(data, seed=3)
loader = DataLoader(data, batch_size=4, sampler=sampler)
net = network()
model: Any = net
if "hooks" in WAY:
    for module in net.modules():
        module.register_forward_hook(lambda _module, _inputs, output: output)
if "ddp" in WAY:
    model = DistributedDataParallel(net)
if "fsdp" in WAY:
    for block in (net[1], net[3]):
        fully_shard(block)
    model = fully_shard(net)
makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
    "sgd": lambda: torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused="fused" in WAY or None),
    "adam": lambda: torch.optim.AdamW(
        model.parameters(), lr=1e-2, fused="fused" in WAY or None, foreach="foreach" in WAY or None
    ),
}
optimizer = makers["sgd" if "sgd" in WAY else "adam"]()
backend = next((name for name in ("aot_eager", "inductor") if name in WAY), None)
scaler = torch.amp.GradScaler("cpu", enabled="scaler" in WAY, init_scale=2.0**15, growth_interval=3)
criterion = torch.nn.functional.mse_loss
forward: Any = model
if backend and "method" in WAY:
    model.compile(backend=backend)
elif backend and "step" not in WAY:
    forward = torch.compile(model, backend=backend)


def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    output = forward(x)
    if "broken" in WAY:
        broken()
    return criterion(output, y)


def backward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.float16, enabled="scaler" in WAY):
        loss = loss_of(x, y)
    scaler.scale(loss).backward()
    return loss.detach()


def step() -> None:
    scaler.step(optimizer)


def whole_step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    loss = backward(x, y)
    step()
    return loss


if backend and "whole_step" in WAY:
    whole_step = torch.compile(whole_step, backend=backend)
if backend and "broken" in WAY:
    loss_of = torch.compile(loss_of, backend=backend)
if backend and "optimizer_step" in WAY:
    step = torch.compile(step, backend=backend)
losses = []
for epoch in range(2):
    sampler.set_epoch(epoch)
    for x, y in loader:
        losses.append(whole_step(x, y))
        scaler.update()
        optimizer.zero_grad()
result = {
    "model": {name: whole(value) for name, value in net.state_dict().items()},
    "optimizer": [{name: whole(value) for name, value in state.items()} for state in optimizer.state.values()],
    "losses": losses,
    "random": torch.get_rng_state(),
    "scaler": scaler.state_dict(),
    "counted": counted(),
}
torch.save(result, f"result-{RANK}.pt")
dist.destroy_process_group()
