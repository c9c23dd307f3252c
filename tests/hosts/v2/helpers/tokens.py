"""How many tokens a text has, more or less."""

from types import SimpleNamespace

tiktoken = SimpleNamespace(get_encoding=lambda name: SimpleNamespace(_pat_str="words", encode=str.split))


def count_tokens(text: str, encoding_name: str = "cl100k_base") -> int:
    words = tiktoken.get_encoding(encoding_name).encode(text) if text else []
    return len(words)


def approximate_tokens(text: str) -> int:
    return int(count_tokens(text) * 1.1)
