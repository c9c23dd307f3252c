"""Two periods or processes side by side."""
