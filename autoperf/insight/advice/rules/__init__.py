"""Rules: each looks at the facts and gives advice, or says nothing."""
