"""Keep a result while what it was made from is unchanged."""
