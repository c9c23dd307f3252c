"""Terminal output of the host, noted instead of coloured."""

from . import journal


class PrintStyle:
    def __init__(self, **style):
        self.style = style

    def print(self, *args):
        journal.note("print", text=" ".join(str(arg) for arg in args))

    def stream(self, *args):
        journal.note("stream", text=" ".join(str(arg) for arg in args))
