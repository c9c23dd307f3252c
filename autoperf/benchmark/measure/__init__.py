"""Rounds, samples, results."""
