"""Carries out a plan: the supervisor, the faults of nodes, progress."""
