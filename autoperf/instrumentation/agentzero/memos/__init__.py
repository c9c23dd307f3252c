"""Results of the host that are kept while their inputs are unchanged."""
