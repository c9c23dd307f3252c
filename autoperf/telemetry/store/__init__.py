"""SQLite: spans, samples and records of processes."""
