"""Orders that are known from their description alone."""

from collections.abc import Mapping
from typing import Any

from resumable.samplers.orders.blocks import Blocks
from resumable.samplers.orders.endless import Endless
from resumable.samplers.orders.mixture import Mixture
from resumable.samplers.orders.named import order_named
from resumable.samplers.orders.order import Order


def order_from(description: Mapping[str, Any]) -> Order:
    """Return the order that a description is of: its name as `order`, and beside it its parameters.

    Raises:
        TypeError: a parameter is of the wrong type.
        ValueError: the description does not say all, as that of an order of the user's own or of one over chosen samples.
    """
    match description:
        case {"order": "blocks/1", "block_size": block_size, "window": window, "of": of, **rest} if not rest:
            return Blocks(block_size, window=window, order=order_from(of))
        case {"order": "mixture/1", "members": members, "epoch_length": epoch_length, **rest} if not rest:
            return Mixture(
                [member["size"] for member in members],
                [member["weight"] for member in members],
                names=[member["name"] for member in members],
                order=[order_from(member["of"]) for member in members],
                epoch_length=epoch_length,
            )
        case {"order": "endless/1", "of": of, **rest} if not rest:
            return Endless(order_from(of))
        case {"order": str(name), **rest} if not rest:
            return order_named(name)
    raise ValueError(
        f"order={description.get('order')!r}: only the program itself knows it whole, with these parameters"
    )
