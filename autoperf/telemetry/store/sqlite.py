"""Python's `sqlite3`, or what stands for it in a Python that was built without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import sqlite3 as sqlite3
else:
    try:
        import sqlite3 as sqlite3
    except ImportError:

        class sqlite3:  # noqa: N801 - stands for the module
            """Opens nothing; whoever tries is told in the way in which a store says what is wrong with it."""

            class Error(Exception):
                """As in the module."""

            class DatabaseError(Error):
                """As in the module."""

            class OperationalError(DatabaseError):
                """As in the module."""

            class IntegrityError(DatabaseError):
                """As in the module."""

            class InterfaceError(Error):
                """As in the module."""

            class ProgrammingError(DatabaseError):
                """As in the module."""

            Connection = Cursor = Row = object

            @staticmethod
            def connect(*_args: Any, **_options: Any) -> NoReturn:
                """Raise ``OperationalError``."""
                raise sqlite3.OperationalError("this Python was built without sqlite3")


class _Connection(sqlite3.Connection):
    def execute(self, *given: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*given)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError("malformed database schema") from error


def connect(path: Any, **options: Any) -> sqlite3.Connection:
    """A connection that raises SQLite's errors alone.

    Where SQLite quotes what is damaged, Python's own would say that this is no UTF-8.
    """
    return sqlite3.connect(path, factory=_Connection, **options)
