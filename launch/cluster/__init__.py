"""The nodes of a job and the place where they meet, warm for as many runs as are wanted.

Two kinds stand behind one protocol: process trees of this machine, and containers.
"""

from launch.cluster.compose import ComposeCluster
from launch.cluster.local import LocalCluster
from launch.cluster.protocol import Cluster, Node

__all__ = ["Cluster", "ComposeCluster", "LocalCluster", "Node"]
