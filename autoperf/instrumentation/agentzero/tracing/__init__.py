"""Spans of agents, steps, model calls and tools."""
