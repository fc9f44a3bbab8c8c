"""Orders that have nothing to be told, by name."""

from resumable.samplers.orders.feistel import FeistelOrder, FirstFeistelOrder
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.randperm import RandpermOrder
from resumable.samplers.orders.sequential import SequentialOrder

OrderLike = str | Order
"""Name of an order, or an order."""

_ORDERS: tuple[Order, ...] = (SequentialOrder(), RandpermOrder(), FirstFeistelOrder(), FeistelOrder())


def order_named(name: str) -> Order:
    """Return the order of that name; without a version (`"randperm"`) the newest of its kind.

    Raises:
        ValueError: no order has this name.
    """
    for order in reversed(_ORDERS):
        if name in (order.name, order.name.partition("/")[0]):
            return order
    raise ValueError(f"order={name!r}: expected one of {', '.join(order.name for order in _ORDERS)}")


def order_of(order: OrderLike) -> Order:
    """Return an order that was given by its name or as itself.

    Raises:
        TypeError: it is neither.
        ValueError: no order has this name, or an order of the user's has none with a version.
    """
    if isinstance(order, str):
        return order_named(order)
    if not isinstance(order, Order):
        raise TypeError(f"order={order!r}: expected the name of an order, or an instance of a subclass of Order")
    name = getattr(order, "name", None)
    if not isinstance(name, str) or "/" not in name:
        raise ValueError(f"{type(order).__name__}.name={name!r}: expected a kind and a version, as 'mine/1'")
    return order
