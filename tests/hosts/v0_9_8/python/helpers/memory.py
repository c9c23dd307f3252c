"""Memories of the agents, which are found again by their words."""

from typing import Any


class Memory:
    def __init__(self, texts: list[str]):
        self.texts = texts

    @staticmethod
    async def get(agent: Any) -> "Memory":
        return Memory(["the lighthouse is old", "the ferry leaves at nine", "the old ferry has sunk"])

    async def search_similarity_threshold(
        self, query: str, limit: int, threshold: float, filter: str = ""
    ) -> list[str]:
        return [text for score, text in self._scored(query) if score >= threshold][:limit]

    def _scored(self, query: str) -> list[tuple[float, str]]:
        wanted = set(query.split())
        scored = [(len(wanted & set(text.split())) / len(wanted), text) for text in self.texts]
        return sorted(scored, key=lambda found: -found[0])
