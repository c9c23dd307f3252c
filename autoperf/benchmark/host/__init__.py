"""The process that is measured."""
