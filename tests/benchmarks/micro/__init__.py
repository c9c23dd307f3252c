"""How much the hot paths gain, for pytest-benchmark; the results are compared, the times only recorded."""
