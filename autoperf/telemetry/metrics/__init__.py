"""Metrics of one process over OTLP."""
