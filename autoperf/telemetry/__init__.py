"""Spans and metrics of one process, into the local store and to OTLP when the standard variables say so."""
