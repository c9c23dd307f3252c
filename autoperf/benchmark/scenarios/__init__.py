"""What is said to the host, and what it must answer."""
