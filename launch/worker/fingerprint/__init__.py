"""Fingerprints of tensors and of nested states that add up over shards."""
