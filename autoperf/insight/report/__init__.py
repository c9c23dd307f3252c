"""One report of a process: text, JSON, page."""
