"""Samplers by name."""

import pytest

from resumable.samplers import (
    SAMPLER_REGISTRY,
    DuplicateSamplerError,
    ResumableRandomSampler,
    ResumableSampler,
    SamplerRegistry,
    UnknownSamplerError,
    create_sampler,
)


@pytest.mark.parametrize(
    ("type_name", "arguments"),
    [
        ("ResumableRandomSampler", {"data_source": range(5), "seed": 3}),
        ("ResumableSequentialSampler", {"data_source": range(5)}),
        ("ResumableDistributedSampler", {"dataset": range(5), "num_replicas": 1, "rank": 0}),
    ],
)
def test_every_sampler_is_made_by_the_name_of_its_class(type_name, arguments):
    """A configuration names the class and its arguments."""
    sampler = create_sampler(type_name, **arguments)
    assert isinstance(sampler, ResumableSampler)
    assert type_name == type(sampler).__name__
    assert sorted(sampler) == [0, 1, 2, 3, 4]


def test_positional_arguments_are_passed_on():
    """`create_sampler` calls the class as anybody would."""
    assert list(ResumableRandomSampler(range(5), 3)) == list(create_sampler("ResumableRandomSampler", range(5), 3))


def test_register_is_a_decorator_and_a_call():
    """Both leave the class as it is."""
    registry = SamplerRegistry()

    @registry.register
    class Mine(ResumableRandomSampler):
        pass

    assert ResumableRandomSampler is registry.register(ResumableRandomSampler)
    assert [Mine, ResumableRandomSampler] == [registry.get(name) for name in registry]
    assert ("Mine" in registry, "Theirs" in registry, len(registry)) == (True, False, 2)


def test_an_unknown_name_is_told_with_the_known_ones():
    """A typing error in a configuration is found by reading the message."""
    with pytest.raises(
        UnknownSamplerError, match=r"'RandomSampler' is not registered; known are .*ResumableRandomSampler"
    ):
        create_sampler("RandomSampler", range(5))


def test_a_name_is_registered_once():
    """A second class of the same name would silently take the place of the first."""
    with pytest.raises(DuplicateSamplerError, match="'ResumableRandomSampler' is already registered"):
        SAMPLER_REGISTRY.register(ResumableRandomSampler)


def test_only_classes_are_registered():
    """An instance or a name has no class name to be found under."""
    with pytest.raises(TypeError, match="expected a class"):
        SAMPLER_REGISTRY.register("ResumableRandomSampler")
