"""The Codex account (v2.4 on), asked for whenever the settings are read: not connected while it has no file.

Each reading of the settings asks every provider of accounts for its state, and this one resolves five paths,
makes a folder, and opens and locks a file, to find that there is no account: a sixth of a step.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from autoperf.errors import asked, guarded
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance
from autoperf.patching.sources import expect_parameters

SEAM: Final = "accounts"
# plugins/_oauth/helpers/codex.py by source
KNOWN: Final = {"f9ce1e5c2abeed567d0903d450712b531b68de1f061d88fca6a2698852ba2ebd"}  # v2.4 - v2.6
# What tells its functions where files are, see `resolve_auth_write_path` and `_known_codex_auth_paths` there.
_HOMES: Final = ("HOME", "CODEX_HOME", "CHATGPT_LOCAL_HOME")

Ask = Callable[..., Any]
Question = tuple[str | None, ...]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Ask, Switch], Ask]]]:
    """``account``: ``status()``."""
    if "account" in targets and os.name == "posix":
        yield targets["account"], unless_cached(probe.root, asking(probe))


def asking(probe: Probe) -> Callable[[Ask, Switch], Ask]:
    """Replaces ``status`` where it says that there is no account, and said so under the same conditions."""
    counter = probe.memo(SEAM)

    def build(original: Any, switch: Switch) -> Ask:
        expect_parameters(original)
        host = _Host(original, switch)
        kept: _Kept | None = None

        def clear() -> int:
            nonlocal kept
            count = 0 if kept is None else 1
            kept = None
            return count

        probe.clears(SEAM, clear)

        def status(call: Any) -> Any:
            nonlocal kept
            question = host.question()
            if question is None:
                return call()
            found = kept  # another thread may clear it
            if found is not None and found.question == question and found.holds() and host.unlocked():
                counter.hits += 1
                return {**found.answer, "discovered_auth_files": []}
            counter.misses += 1
            candidate: _Kept | None = None
            with guarded(SEAM):
                candidate = host.expected(question)
                if candidate is not None and not candidate.holds():
                    candidate = None
            answer = call()
            if candidate is not None and _plain(answer) and candidate.holds():
                kept = candidate._replace(answer=answer | {"discovered_auth_files": []})
            return answer

        return status

    return build


class _Kept(NamedTuple):
    """An answer and what it holds for.

    ``known`` are other programs' files, which the host must not take for its own; ``folders`` are all those
    on the way to any of the files.
    """

    question: Question
    file: str
    known: tuple[str, ...]
    lock: str
    folders: tuple[str, ...]
    answer: dict[str, Any]

    def holds(self) -> bool:
        """Whether there is no account's file, no link leads elsewhere, and the lock's file is there already.

        Then the host would change nothing, and what it answers follows from the question.
        """
        look = os.lstat
        try:
            for folder in self.folders:
                try:
                    if not stat.S_ISDIR(look(folder).st_mode):
                        return False
                except FileNotFoundError:
                    continue  # and so are those below it
            for path in self.known:
                with suppress(FileNotFoundError):
                    if stat.S_ISLNK(look(path).st_mode):
                        return False
            if not stat.S_ISREG(look(self.lock).st_mode) or not os.access(self.lock, os.R_OK | os.W_OK):
                return False
            look(self.file)
        except FileNotFoundError as missing:
            return bool(missing.filename == self.file)
        except (OSError, ValueError):
            return False
        return False


def _plain(answer: Any) -> bool:
    return (
        type(answer) is dict
        and answer.get("connected") is False
        and answer.get("discovered_auth_files") == []
        and all(
            type(value) in (str, bool) for name, value in answer.items() if name != "discovered_auth_files"
        )
    )


class _Host:
    """The host's module: what its answer depends on."""

    def __init__(self, original: Any, switch: Switch) -> None:
        self._reliance = Reliance.on_module(original, KNOWN, switch)
        self._names = self._reliance.space

    def question(self) -> Question | None:
        """The file that is configured, the host's own folder, and the homes; None where only it can tell."""
        if not self._reliance.holds():
            return None
        names = self._names
        places = asked(
            lambda: (
                names["codex_config"]()["auth_file_path"],
                names["files"].get_abs_path("usr", "plugins", "_oauth", "codex"),
            )
        )
        if places is None or any(type(place) is not str for place in places):
            return None
        return (*places, *map(os.environ.get, _HOMES))

    def expected(self, question: Question) -> _Kept | None:
        """What there is to look at; None where a path is not as plain as the conclusion needs it to be."""
        explicit, own, *homes = question
        if own is None or not homes[0]:
            return None
        name = self._names["AUTH_FILENAME"]
        file = explicit or os.path.join(own, name)
        known = [os.path.join(homes[0], folder, name) for folder in (".codex", ".chatgpt-local")]
        known += [os.path.join(home, name) for home in homes[1:] if home]
        if any(not os.path.isabs(path) or os.path.normpath(path) != path for path in (file, *known)):
            return None
        lock = asked(lambda: str(self._names["_auth_lock_path"](self._names["Path"](file))))
        if lock is None:  # a name that no file can have
            return None
        folders: dict[str, None] = {}
        for path in (file, *known, lock):
            above = []
            while (parent := os.path.dirname(path)) != path:
                above.append(parent)
                path = parent
            folders |= dict.fromkeys(reversed(above))
        return _Kept(question, file, tuple(known), lock, tuple(folders), {})

    def unlocked(self) -> bool:
        """Whether nobody in this process reads or writes the account's file just now."""
        return bool(asked(self._passes))

    def _passes(self) -> bool:
        lock = self._names["_AUTH_THREAD_LOCK"]
        if not lock.acquire(blocking=False):
            return False
        lock.release()
        return True
