"""What the terminal shows of a chat."""

import sys


class PrintStyle:
    """Lines of one speaker, cut to fit a terminal; the transcript has the whole text."""

    WIDTH = 110

    def __init__(self, speaker: str = "") -> None:
        self.speaker = speaker

    def print(self, text: str) -> None:
        """Write one line: the speaker and as much of the text as fits."""
        line = f"{self.speaker:<6} {' '.join(text.split())}"
        sys.stdout.write(line if len(line) <= self.WIDTH else line[: self.WIDTH - 3] + "...")
        sys.stdout.write("\n")
