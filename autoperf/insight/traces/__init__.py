"""Spans as trees: shares, layers, the critical path."""
