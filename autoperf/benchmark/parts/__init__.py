"""One module a part of `autoperf benchmark`."""
