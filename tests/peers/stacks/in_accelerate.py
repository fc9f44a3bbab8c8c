"""accelerate's loop with `save_state` and `load_state`, as its guide on checkpointing says.

skip: `skip_first_batches`. dispatch: the same, with batches that rank 0 fetches for all. stateful: loaders with a state,
which `load_state` restores.
"""

from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from task import BATCH_SIZE, NUM_EPOCHS, SAVE_EVERY, Numbers, loss_of, network, optimizer_of, options
from torch.utils.data import DataLoader

WAYS = {
    "skip": DataLoaderConfiguration(),
    "dispatch": DataLoaderConfiguration(dispatch_batches=True),
    "stateful": DataLoaderConfiguration(use_stateful_dataloader=True),
}

arguments = options(*WAYS)
accelerator = Accelerator(cpu=True, dataloader_config=WAYS[arguments.way])
set_seed(0)
module = network()
data = Numbers(arguments.augment)
loader = DataLoader(data, batch_size=BATCH_SIZE, shuffle=True, num_workers=arguments.workers)
model, optimizer, loader = accelerator.prepare(module, optimizer_of(module), loader)
saved = sorted(folder for folder in Path().glob("step-*") if (folder / "done").exists())
step = 0
if saved:
    accelerator.load_state(saved[-1].absolute())
    step = int(saved[-1].name.removeprefix("step-"))
first_epoch, num_done = divmod(step, len(loader))
for epoch in range(first_epoch, NUM_EPOCHS):
    loader.set_epoch(epoch)
    is_skipping = arguments.way != "stateful" and epoch == first_epoch and num_done
    batches = accelerator.skip_first_batches(loader, num_done) if is_skipping else loader
    for batch in batches:
        accelerator.backward(loss_of(model, batch))
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % SAVE_EVERY == 0:
            folder = Path(f"step-{step:04d}")
            accelerator.save_state(folder.absolute())
            accelerator.wait_for_everyone()
            (folder / "done").touch()
accelerator.end_training()
