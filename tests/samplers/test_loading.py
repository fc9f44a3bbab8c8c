"""Which states are taken and which are refused."""

import copy
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import (
    ResumableDistributedSampler,
    ResumableRandomSampler,
    ResumableSequentialSampler,
    ResumableSubsetSampler,
    StateFormatError,
    StateMismatchError,
)
from resumable.samplers.migrations import migrated
from resumable.samplers.state import COMPARED_FIELDS
from tests.samplers.jobs import draw


def state_of(**changes):
    """A state in mid-epoch, with some values exchanged by their dotted names."""
    sampler = ResumableRandomSampler(range(40), seed=3, batch_size=4, dataset_fingerprint="v1")
    draw(sampler, 8)
    state = sampler.state_dict()
    for name, value in changes.items():
        *path, last = name.split("__")
        target = state
        for key in path:
            target = target[key]
        target[last] = value
    return state


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (ResumableRandomSampler(range(40), seed=4), r"stream\.seed: saved 3, here 4"),
        (ResumableRandomSampler(range(41), seed=3), r"stream\.num_samples: saved 40, here 41"),
        (
            ResumableSequentialSampler(range(40)),
            r"stream\.order: .*stream\.seed: .*stream\.shuffle: saved True, here False",
        ),
        (
            ResumableDistributedSampler(range(40), 1, 0, seed=3, drop_last=True),
            r"stream\.drop_last: saved False, here True",
        ),
        (
            ResumableRandomSampler(range(40), seed=3, dataset_fingerprint="v2"),
            r"fingerprint\.dataset: saved 'v1', here 'v2'",
        ),
    ],
)
def test_a_state_of_another_stream_is_refused_with_every_difference(sampler, message):
    """The message names each field that differs, with both values."""
    with pytest.raises(StateMismatchError, match=message):
        sampler.load_state_dict(state_of())


def test_another_permutation_under_the_same_name_is_noticed():
    """A torch release that changes randperm changes the order's fingerprint."""
    with pytest.raises(StateMismatchError, match=r"fingerprint\.order: saved 'ffff', here '"):
        ResumableRandomSampler(range(40), seed=3).load_state_dict(state_of(fingerprint__order="ffff"))


def test_a_state_of_one_process_goes_on_in_a_distributed_job():
    """Only the stream decides; the kind of sampler that wrote a state does not."""
    sampler = ResumableDistributedSampler(range(40), 1, 0, seed=3, batch_size=4)
    sampler.load_state_dict(state_of())
    assert list(ResumableRandomSampler(range(40), seed=3))[8:] == list(sampler)


def test_a_difference_that_is_allowed_warns():
    """The caller may know better, and is told what it lets through."""
    sampler = ResumableRandomSampler(range(40), seed=4, batch_size=4)
    with pytest.warns(UserWarning, match=r"stream\.seed: saved 3, here 4"):
        sampler.load_state_dict(state_of(), allow=["stream.seed"])
    assert list(ResumableRandomSampler(range(40), seed=4))[8:] == list(sampler)


def test_the_end_of_an_epoch_stays_its_end_where_the_length_may_differ():
    """A grown data set does not bring a finished epoch back."""
    sampler = ResumableRandomSampler(range(60), seed=3)
    with pytest.warns(UserWarning, match="num_samples"):
        sampler.load_state_dict(state_of(consumed=40), allow=["stream.num_samples"])
    assert (sampler.state_dict()["consumed"], sampler.remaining) == (40, 0)
    sampler.set_epoch(sampler.epoch + 1)
    assert list(range(60)) == sorted(sampler)


@pytest.mark.parametrize("num_samples", [5, 39])
def test_no_samples_can_be_taken_away_in_mid_epoch(num_samples):
    """What was consumed may be among them; the start and the end of an epoch mean the same with fewer."""
    sampler = ResumableRandomSampler(range(num_samples), seed=3)
    with (
        pytest.warns(UserWarning, match="num_samples"),
        pytest.raises(StateMismatchError, match=f"consumed: saved 8 of 40 samples, here are {num_samples}"),
    ):
        sampler.load_state_dict(state_of(), allow=["stream.num_samples"])


def test_a_fixed_global_batch_asks_for_the_same_product_of_ranks_and_batch_size():
    """With drop_last="global" the dropped tail must not move."""
    source = ResumableDistributedSampler(range(40), 2, 0, drop_last="global", batch_size=4)
    ResumableDistributedSampler(range(40), 4, 0, drop_last="global", batch_size=2).load_state_dict(source.state_dict())
    other = ResumableDistributedSampler(range(40), 4, 0, drop_last="global", batch_size=4)
    with pytest.raises(StateMismatchError, match=r"num_replicas \* layout\.batch_size: saved 8, here 16"):
        other.load_state_dict(source.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "format='other'"),
        ({"version": 5}, "version=5: this release reads states up to version 4"),
        ({"version": 0}, "version=0: no such version"),
        ({"version": True}, "version=True"),
        ({"version": None}, "version=None"),
        ({"epoch": -1}, "epoch=-1"),
        ({"epoch": 2.0}, r"epoch=2\.0"),
        ({"consumed": 41}, "consumed=41"),
        ({"consumed": float("nan")}, "consumed=nan"),
        ({"consumed": 10**40}, "consumed=1000"),
        ({"stream": None}, "stream=None"),
        ({"stream__seed": "3"}, r"stream\.seed='3'"),
        ({"stream__num_samples": -1}, r"stream\.num_samples=-1"),
        ({"stream__drop_last": 0}, r"stream\.drop_last=0"),
        ({"layout__batch_size": 0}, r"layout\.batch_size=0"),
        ({"fingerprint__order": None}, r"fingerprint\.order=None"),
        ({"writer__torch": 2}, r"writer\.torch=2"),
        ({"surprise": 1}, r"unknown \['surprise'\]"),
        ({"layout__surprise": 1}, r"layout .*unknown \['surprise'\]"),
    ],
)
def test_a_damaged_state_is_refused_by_field_and_value(changes, message):
    """Never a wrong order from a damaged state."""
    with pytest.raises(StateFormatError, match=message):
        ResumableRandomSampler(range(40), seed=3).load_state_dict(state_of(**changes))


@pytest.mark.parametrize("key", ["format", "version", "epoch", "consumed", "stream", "layout", "fingerprint", "writer"])
def test_a_state_that_lacks_a_key_is_refused(key):
    """A missing key has no default: it could only be a guess."""
    state = state_of()
    del state[key]
    with pytest.raises(StateFormatError, match=key):
        ResumableRandomSampler(range(40), seed=3).load_state_dict(state)


@pytest.mark.parametrize("state", [None, [], "{}", 7, {}])
def test_something_that_is_no_state_is_refused(state):
    """An empty dict above all: others restore nothing from it and call that success."""
    with pytest.raises(StateFormatError, match="not a sampler's state"):
        ResumableRandomSampler(range(40), seed=3).load_state_dict(state)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["format", "version", "kind", "epoch", "consumed"] + [
    f"{section}__{field}" for section, content in state_of().items() if isinstance(content, dict) for field in content
]


@given(name=st.sampled_from(FIELDS), value=junk)
def test_a_state_with_any_value_exchanged_is_refused_or_means_the_same_stream(name, value):
    """Whatever is put into one field, a state that is taken leads to a rest of the very same stream."""
    sampler = ResumableRandomSampler(range(40), seed=3, batch_size=4, dataset_fingerprint="v1")
    state = state_of(**{name: value})
    frozen = json.dumps(state)
    try:
        sampler.load_state_dict(state)
    except ValueError:
        assert sampler.state_dict()["consumed"] == 0
    else:
        expected = copy.deepcopy(sampler)
        expected.set_epoch(state["epoch"])
        assert list(expected) == list(sampler)
    assert frozen == json.dumps(state)


def test_older_versions_are_migrated_step_by_step():
    """Each line of the table lifts a state by one version."""
    steps = {1: lambda values: values | {"added": 1}, 2: lambda values: values | {"added": values["added"] + 1}}
    state = {"format": "resumable-sampler", "version": 1, "epoch": 4}
    assert migrated(state, version=3, migrations=steps) == {"epoch": 4, "added": 2}


SUBSET = {"indices": range(100), "seed": 7, "dataset_fingerprint": "v1"}
CHANGES = {
    "seed": ({"seed": 8}, {"stream.seed"}),
    "tail": ({"drop_last": True}, {"stream.drop_last"}),
    "samples": ({"indices": range(500, 600)}, {"fingerprint.dataset", "fingerprint.order"}),
    "mark": ({"dataset_fingerprint": "v2"}, {"fingerprint.dataset"}),
    "order": ({"order": "feistel"}, {"stream.order"}),
    "length": ({"indices": range(90)}, {"stream.num_samples", "fingerprint.dataset"}),
}


# A list of different length in the place of different samples is one change.
changed = st.lists(st.sampled_from(list(CHANGES)), min_size=1, unique=True).filter(
    lambda changes: not {"samples", "length"} <= set(changes)
)


@given(changes=changed, data=st.data())
def test_whatever_is_allowed_everything_else_is_compared_as_strictly_as_without(changes, data):
    """Each difference is named, and each that is not allowed by its own name is refused."""
    arguments, differing = dict(SUBSET), set()
    for change in changes:
        arguments |= CHANGES[change][0]
        differing |= CHANGES[change][1]
    # The digest of the order shows nothing new where the order's own description differs.
    if {"stream.seed", "stream.order", "stream.num_samples"} & differing:
        differing -= {"fingerprint.order"}
    state = ResumableSubsetSampler(**SUBSET).state_dict()
    allowed = set(data.draw(st.lists(st.sampled_from(sorted(COMPARED_FIELDS)), unique=True)))
    target = ResumableSubsetSampler(**arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            target.load_state_dict(state, allow=allowed)
            refused = ""
        except StateMismatchError as error:
            refused = str(error)
    named = {field for field in COMPARED_FIELDS if f"{field}: saved" in refused}
    warned = {field for field in COMPARED_FIELDS if any(f"{field}: saved" in str(entry.message) for entry in caught)}
    assert differing - allowed == named
    assert warned == (set() if named else differing)


def test_a_single_name_may_be_given_as_a_string():
    """It is one field, not a collection of letters."""
    sampler = ResumableRandomSampler(range(40), seed=4, batch_size=4)
    with pytest.warns(UserWarning, match=r"stream\.seed"):
        sampler.load_state_dict(state_of(), allow="stream.seed")


@pytest.mark.parametrize("allow", ["seed", ["stream.seed", "stream.sed"], "consumed"])
def test_a_name_that_no_field_has_is_refused(allow):
    """A typing error would allow nothing, or look as if it did."""
    with pytest.raises(ValueError, match=r"expected some of stream\.order, .*fingerprint\.dataset"):
        ResumableRandomSampler(range(40), seed=3).load_state_dict(state_of(), allow=allow)
