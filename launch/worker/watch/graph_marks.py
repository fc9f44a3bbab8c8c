"""Marks on autograd's graph: from what a forward pass gave, the batches that it got can be found again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import torch
from torch.autograd.graph import Node

from resumable.launch.worker.watch.tensors import tensors_in

_KEY = "resumable: lines of batches"
_marks: Callable[[Node], dict[Any, Any]] = attrgetter("metadata")
"""What may be kept with a node, as long as it exists."""
_MOST_NODES = 1024
"""Nodes that are looked at between a loss and the marks: what a script computes outside of all modules is short."""


def mark(output: Any, lines: frozenset[int]) -> None:
    """Have `lines_behind` find these lines wherever the graph goes back to this output."""
    for tensor in tensors_in(output):
        if tensor.grad_fn is not None:
            marks = _marks(tensor.grad_fn)
            marks[_KEY] = marks.get(_KEY, frozenset()) | lines


def lines_behind(tensors: Iterable[torch.Tensor]) -> set[int]:
    """Lines of the marks that the graph behind these tensors leads to first, on every way."""
    lines: set[int] = set()
    nodes = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    seen = set(nodes)
    for node in nodes:  # those behind it are appended: what is near comes first
        found = _marks(node).get(_KEY)
        if found is not None:
            lines |= found
        elif len(nodes) < _MOST_NODES:
            for behind, _ in node.next_functions:
                if behind is not None and behind not in seen and behind.next_functions:
                    seen.add(behind)
                    nodes.append(behind)
    return lines
