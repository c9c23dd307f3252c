"""Extension points, interventions, and what the host calls by name."""
