"""Wrap a function, know whose code it is, take it back."""
