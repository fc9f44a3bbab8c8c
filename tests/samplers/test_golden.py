"""States that were written once and must be readable for ever."""

import json
from pathlib import Path

import pytest

from resumable.samplers import (
    Blocks,
    Endless,
    Mixture,
    Packs,
    ResumableDistributedSampler,
    ResumableWeightedSampler,
    TokenBatches,
)
from resumable.samplers.migrations import VERSION
from tests.samplers.jobs import draw

GOLDEN = Path(__file__).parent / "golden"
ARGUMENTS = {"num_replicas": 2, "rank": 0, "seed": 7, "batch_size": 16}
CASES = {
    "version-1-randperm": (
        lambda: ResumableDistributedSampler(range(1000), drop_last=True, dataset_fingerprint="digits", **ARGUMENTS),
        [601, 441, 857, 55, 81],
    ),
    "version-2-skipped": (
        lambda: ResumableDistributedSampler(range(1000), drop_last=True, dataset_fingerprint="digits", **ARGUMENTS),
        [601, 441, 857, 55, 81],
    ),
    "version-1-feistel": (
        lambda: ResumableDistributedSampler(range(10**6), order="feistel/1", **ARGUMENTS),
        [792881, 562064, 499389, 763813, 426505],
    ),
    "version-3-feistel": (
        lambda: ResumableDistributedSampler(range(10**6), order="feistel", **ARGUMENTS),
        [617735, 131244, 432625, 560540, 785054],
    ),
    "version-3-mixture": (
        lambda: ResumableDistributedSampler(
            range(700),
            order=Endless(Mixture.of({"a": (500, 0.7), "b": (200, 0.3)}, order=[Blocks(16), "randperm"])),
            **ARGUMENTS,
        ),
        [480, 143, 473, 26, 21],
    ),
    "version-3-token-batches": (
        lambda: ResumableDistributedSampler(
            range(1000),
            order="randperm",
            groups=TokenBatches([1 + i * 7 % 50 for i in range(1000)], 150),
            num_replicas=2,
            rank=0,
        ),
        [[890, 740, 540, 290], [139, 239, 789, 439, 289, 339], [563, 663, 913]],
    ),
    "version-3-packs": (
        lambda: ResumableDistributedSampler(
            range(1000),
            order="feistel",
            groups=Packs([1 + i * 7 % 50 for i in range(1000)], 100),
            num_replicas=2,
            rank=0,
        ),
        [[484, 705, 403, 636], [926, 156, 173, 894, 786], [235, 410, 432, 758]],
    ),
    "version-4-out-of-order": (
        lambda: ResumableDistributedSampler(range(1000), order="randperm", **ARGUMENTS),
        [284, 92, 264, 420, 286, 108, 575, 340, 673, 419, 748, 788],
    ),
    "version-1-weighted": (
        lambda: ResumableWeightedSampler([1.0, 2.0, 3.0], 1000, seed=7),
        [1, 2, 2, 2, 2],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_state_from_the_past_goes_on_with_the_same_samples(name):
    """A file that an earlier release wrote loads, and leads to what it led to then."""
    make, expected = CASES[name]
    sampler = make()
    sampler.load_state_dict(json.loads((GOLDEN / f"{name}.json").read_text()))
    assert expected == draw(sampler, len(expected))


def test_every_version_has_a_golden_file():
    """A new version of the state comes with one."""
    versions = {json.loads(path.read_text())["version"] for path in GOLDEN.glob("*.json")}
    assert set(range(1, VERSION + 1)) == versions


def test_every_golden_file_is_tested():
    """None is forgotten."""
    assert sorted(CASES) == sorted(path.stem for path in GOLDEN.iterdir())
