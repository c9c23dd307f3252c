"""What a compared conversation changes."""
