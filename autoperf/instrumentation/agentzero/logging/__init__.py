"""What the host writes to its log, and its secrets filter."""
