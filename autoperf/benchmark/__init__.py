"""The same conversation with Agent Zero, bare and instrumented, side by side."""
