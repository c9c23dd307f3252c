"""What the host writes to its console, its log and its secrets filter."""
