"""The start of the host: imports, watchers, garbage collection."""
