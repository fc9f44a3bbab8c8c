"""Which sample of the whole data set an index into a part of it means."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Subset

from resumable.launch.evidence.rank_records import Index


def whole_indices(dataset: Any, indices: list[Index]) -> list[Index]:
    """The indices in the data set of which this one is a `Subset`, however deep; a job may resume with what is left of it.

    Indices that do not fit, and those of any other data set, stay as they are.
    """
    while issubclass(type(dataset), Subset):
        try:
            indices = [int(dataset.indices[index]) if isinstance(index, int) else index for index in indices]
        except Exception:  # somebody else's code
            return indices
        dataset = dataset.dataset
    return indices
