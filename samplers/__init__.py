"""Resumable PyTorch samplers."""
