"""Classes and modules that the host loads at every call."""
