"""The model's client, litellm and openai: what it does for every chunk and nobody uses, left out."""
