"""What stands where a span would be when nothing is recorded."""

from __future__ import annotations

from typing import Any, Final


class NoSpan:
    """A span that is none."""

    __slots__ = ()

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, key: str, value: Any) -> None:
        """Do nothing."""

    def over(self, error: BaseException | None, *, long: bool) -> bool:  # noqa: ARG002 - as of a span
        """Do nothing: it became no span."""
        return False


NO_SPAN: Final = NoSpan()
