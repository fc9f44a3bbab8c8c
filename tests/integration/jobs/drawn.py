"""A job without a data loader: it draws its batches itself. With `--forget` its checkpoint holds no random state."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank = dist.get_rank()
tokens = torch.arange(5000) * 37 % 50
torch.manual_seed(1)
model = DistributedDataParallel(
    torch.nn.Sequential(torch.nn.Embedding(50, 8), torch.nn.Flatten(), torch.nn.Linear(64, 50))
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
draws = torch.Generator().manual_seed(100 + rank)
checkpoint = Path(f"rank-{rank}.pt")
first = 0
if checkpoint.exists():
    state = torch.load(checkpoint)
    model.load_state_dict(state["model"])
    first = state["step"]
    if "--forget" not in sys.argv:
        draws.set_state(state["draws"])
for step in range(first, 16):
    starts = torch.randint(len(tokens) - 9, (4,), generator=draws)
    inputs = torch.stack([tokens[start : start + 8] for start in starts])
    loss = torch.nn.functional.cross_entropy(model(inputs), tokens[starts + 8])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 4 == 3:
        written = {"model": model.state_dict(), "step": step + 1, "draws": draws.get_state()}
        torch.save(written, f"{checkpoint}.tmp")
        dist.barrier()
        Path(f"{checkpoint}.tmp").replace(checkpoint)
