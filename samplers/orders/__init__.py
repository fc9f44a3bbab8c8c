"""Orders: named, versioned ways to arrange the samples of an epoch, one module each."""

from resumable.samplers.orders.chosen import ChosenOrder
from resumable.samplers.orders.feistel import FeistelOrder
from resumable.samplers.orders.order import Order, Stream
from resumable.samplers.orders.randperm import RandpermOrder
from resumable.samplers.orders.sequential import SequentialOrder
from resumable.samplers.orders.weighted import WeightedOrder

__all__ = [
    "ChosenOrder",
    "FeistelOrder",
    "Order",
    "RandpermOrder",
    "SequentialOrder",
    "Stream",
    "WeightedOrder",
    "order_named",
]

_ORDERS: tuple[Order, ...] = (SequentialOrder(), RandpermOrder(), FeistelOrder())


def order_named(name: str) -> Order:
    """Return the order of that name; without a version (`"randperm"`) the newest of its kind.

    Raises:
        ValueError: no order has this name.
    """
    for order in reversed(_ORDERS):
        if name in (order.name, order.name.partition("/")[0]):
            return order
    raise ValueError(f"order={name!r}: expected one of {', '.join(order.name for order in _ORDERS)}")
