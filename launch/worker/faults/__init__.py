"""The faults that a rank does to itself: when they are due, and what they do."""
