"""Recommendations from the facts of a process."""
