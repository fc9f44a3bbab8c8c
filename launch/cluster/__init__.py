"""The nodes of a job and the place where they meet, warm for as many runs as are wanted.

Two kinds stand behind one protocol: process trees of this machine, and containers.
"""

from resumable.launch.cluster.compose import ComposeCluster
from resumable.launch.cluster.local import LocalCluster
from resumable.launch.cluster.protocol import Cluster, Node

__all__ = ["Cluster", "ComposeCluster", "LocalCluster", "Node"]
