"""What is patched, package by package."""
