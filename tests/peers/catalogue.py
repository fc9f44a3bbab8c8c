"""The stacks, each as its own documentation says, and why a cell is red in words that its maintainers would use."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

SCRIPTS = Path(__file__).parent / "stacks"
_CAUSES: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "causes.toml").read_text(encoding="utf-8"))


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the scoreboard."""

    name: str
    script: str
    """In `stacks/`."""
    way: str = ""
    """The script's first argument, where it has several ways to resume."""
    packages: tuple[str, ...] = ("torch",)
    """Distributions whose versions matter; the ranks' fork server imports `preload`."""
    preload: tuple[str, ...] = ()
    guide: str
    """The page that the script follows."""

    @property
    def slug(self) -> str:
        """Its name in a link."""
        return re.sub(r"\W+", "-", self.name.lower())

    def cause(self, cell: str) -> str:
        """Why a cell is red; "" where nobody has looked yet."""
        causes = _CAUSES.get(self.name, {})
        return causes.get(cell, causes.get("", ""))


STACKS = (
    Stack(
        name="resumable",
        script="in_resumable.py",
        packages=("resumable", "torch"),
        guide="../../samplers/README.md",
    ),
    Stack(
        name="DDP, snapshot",
        script="ddp_snapshot.py",
        guide="https://docs.pytorch.org/tutorials/beginner/ddp_series_fault_tolerance.html",
    ),
    Stack(
        name="DDP, epoch",
        script="ddp_steps.py",
        way="epoch",
        guide="https://docs.pytorch.org/tutorials/recipes/recipes/saving_and_loading_a_general_checkpoint.html",
    ),
    Stack(
        name="DDP, skip",
        script="ddp_steps.py",
        way="skip",
        guide="https://docs.pytorch.org/tutorials/recipes/recipes/saving_and_loading_a_general_checkpoint.html",
    ),
    Stack(
        name="DDP, skip and random state",
        script="ddp_steps.py",
        way="random",
        guide="https://docs.pytorch.org/docs/stable/notes/randomness.html",
    ),
    Stack(
        name="ElasticDistributedSampler",
        script="elastic_sampler.py",
        guide="https://github.com/pytorch/elastic/blob/master/examples/imagenet/main.py",
    ),
    Stack(
        name="torchdata",
        script="in_torchdata.py",
        way="plain",
        packages=("torchdata", "torch"),
        preload=("torchdata.stateful_dataloader",),
        guide="https://docs.pytorch.org/data/0.11/stateful_dataloader_tutorial.html",
    ),
    Stack(
        name="torchdata, DCP",
        script="in_torchdata.py",
        way="dcp",
        packages=("torchdata", "torch"),
        preload=("torchdata.stateful_dataloader",),
        guide="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/dataloader.py",
    ),
    Stack(
        name="Lightning",
        script="in_lightning.py",
        way="plain",
        packages=("lightning", "torch"),
        preload=("lightning.pytorch",),
        guide="https://lightning.ai/docs/pytorch/stable/common/checkpointing_intermediate.html",
    ),
    Stack(
        name="Lightning, stateful",
        script="in_lightning.py",
        way="stateful",
        packages=("lightning", "torchdata", "torch"),
        preload=("lightning.pytorch", "torchdata.stateful_dataloader"),
        guide="https://lightning.ai/docs/pytorch/stable/data/alternatives.html",
    ),
    Stack(
        name="transformers",
        script="in_transformers.py",
        packages=("transformers", "accelerate", "torch"),
        preload=("transformers.trainer",),
        guide="https://huggingface.co/docs/transformers/trainer",
    ),
    Stack(
        name="accelerate, skip",
        script="in_accelerate.py",
        way="skip",
        packages=("accelerate", "torch"),
        preload=("accelerate",),
        guide="https://huggingface.co/docs/accelerate/usage_guides/checkpoint",
    ),
    Stack(
        name="accelerate, stateful",
        script="in_accelerate.py",
        way="stateful",
        packages=("accelerate", "torchdata", "torch"),
        preload=("accelerate",),
        guide="https://huggingface.co/docs/accelerate/usage_guides/checkpoint",
    ),
    Stack(
        name="accelerate, dispatch",
        script="in_accelerate.py",
        way="dispatch",
        packages=("accelerate", "torch"),
        preload=("accelerate",),
        guide="https://huggingface.co/docs/accelerate/usage_guides/checkpoint",
    ),
    Stack(
        name="FSDP2, DCP",
        script="fsdp2.py",
        guide="https://docs.pytorch.org/tutorials/recipes/distributed_checkpoint_recipe.html",
    ),
    Stack(
        name="datasets, streaming",
        script="in_datasets.py",
        packages=("datasets", "torchdata", "torch"),
        preload=("datasets", "torchdata.stateful_dataloader"),
        guide="https://huggingface.co/docs/datasets/stream",
    ),
    Stack(
        name="webdataset",
        script="in_webdataset.py",
        packages=("webdataset", "torch"),
        preload=("webdataset",),
        guide="https://github.com/webdataset/webdataset/blob/main/README.md",
    ),
)
