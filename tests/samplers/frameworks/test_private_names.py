"""What the installed versions of the frameworks must still have."""

from resumable.samplers.frameworks.private_names import PrivateName, missing_names


def test_every_private_name_that_is_used_exists():
    """After an update this test names what is gone, and what it was needed for."""
    assert list(missing_names()) == []


def test_a_name_that_is_gone_is_noticed():
    """In a module, in a class, and among what a constructor sets."""
    gone = [
        PrivateName("torch.utils.data.dataloader", "_NoSuchIter", ""),
        PrivateName("torch.utils.data.dataloader", "DataLoader._no_such_method", ""),
        PrivateName("torch.utils.data.dataloader", "_NoSuchClass.name", ""),
        PrivateName("torch.utils.data.dataloader", "_BaseDataLoaderIter", "", "_no_such_number"),
    ]
    assert [name.is_missing for name in gone] == [True] * 4
