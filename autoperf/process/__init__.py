"""One instrumented process: options, features, start and end."""
