"""What traces tell: pure functions from spans to trees, paths, shares of time, statistics and files."""
