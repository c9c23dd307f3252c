"""Developers' benchmarks."""
