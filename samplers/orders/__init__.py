"""Orders: named, versioned ways to arrange the samples of an epoch, one module each."""

from resumable.samplers.orders.blocks import Blocks
from resumable.samplers.orders.chosen import ChosenOrder
from resumable.samplers.orders.description import order_from
from resumable.samplers.orders.endless import Endless
from resumable.samplers.orders.feistel import FeistelOrder
from resumable.samplers.orders.mixture import Mixture
from resumable.samplers.orders.named import OrderLike, order_named, order_of
from resumable.samplers.orders.order import Order
from resumable.samplers.orders.randperm import RandpermOrder
from resumable.samplers.orders.sequential import SequentialOrder
from resumable.samplers.orders.stream import Era, Positions, Samples, Stream
from resumable.samplers.orders.weighted import WeightedOrder

__all__ = [
    "Blocks",
    "ChosenOrder",
    "Endless",
    "Era",
    "FeistelOrder",
    "Mixture",
    "Order",
    "OrderLike",
    "Positions",
    "RandpermOrder",
    "Samples",
    "SequentialOrder",
    "Stream",
    "WeightedOrder",
    "order_from",
    "order_named",
    "order_of",
]
