"""A model that answers as it is told."""
