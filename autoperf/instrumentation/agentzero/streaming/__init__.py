"""A reply that grows chunk by chunk."""
