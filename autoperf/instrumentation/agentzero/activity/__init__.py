"""What the host is doing: turns, tools and models under way."""
