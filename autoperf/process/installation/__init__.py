"""Put autoperf into an environment, take it out, check it."""
