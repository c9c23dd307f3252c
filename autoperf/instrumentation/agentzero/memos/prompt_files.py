"""Prompt files are read, filled in and joined anew only when one of them, or what is put in, has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.known_sources import KNOWN, RELIES_ON
from autoperf.instrumentation.agentzero.memos.prompt_values import (
    condition_names,
    hides,
    key_of,
    spelled,
    usual,
)
from autoperf.memo.counters import Lookups
from autoperf.memo.recorder import Outcome, Read, Reading, Templates, Variables
from autoperf.memo.watch import Watch
from autoperf.patching.patch import Switch, Together
from autoperf.patching.reliance import Reliance, without_ours
from autoperf.patching.sources import expect_parameters

SEAM: Final = "prompt files"


class _Thread(threading.local):
    reading: Reading | None = None


class PromptFiles:
    """The four functions of the host's ``files`` module that make a text of a prompt file.

    The host's own code does every read that is not already known, and our part in it is to watch: where it
    looks for files (`finds`), which variables modules it calls (`asks`), what it includes (`reads` within
    itself). A variables module is called at every read, whatever is kept.
    """

    def __init__(self, watch: Watch, lookups: Lookups, known: frozenset[str] = KNOWN) -> None:
        self.templates = Templates()
        self._watch = watch
        self._lookups = lookups
        self._known = known
        self._thread = _Thread()
        self._together = Together("find_file_in_dirs", "load_plugin_variables")
        self._reliance: Reliance | None = None
        self._space: dict[str, Any] = {}

    def _noted(self) -> int | None:
        """Another number where something was not noted; None while nothing is, so that nothing is kept."""
        return self._together.state()

    def _rely(self, original: Any) -> Reliance:
        # The module may be executed again (a reload): then all of it is recognised anew.
        space = without_ours(original).__globals__
        if self._reliance is None or self._space is not space:
            self._reliance, self._space = (
                Reliance(space, RELIES_ON, self._known, self._together),
                space,
            )
        return self._reliance

    def reads(self, original: Callable[..., str], switch: Switch) -> Callable[..., Any]:
        """For ``read_prompt_file``."""
        expect_parameters(original, "_file", "_directories", "_encoding")
        reliance, thread = self._rely(original), self._thread
        self._together.joins("read_prompt_file", switch)

        def read_prompt_file(
            call: Any, _file: Any, _directories: Any = None, _encoding: Any = "utf-8", **kwargs: Any
        ) -> Any:
            outer = thread.reading
            if not (reliance.holds() and self._noted() is not None and usual(_file, _directories, _encoding)):
                with self._aside():
                    return call(_file, _directories, _encoding, **kwargs)
            name: Hashable = ("text", _file, _encoding, None if _directories is None else tuple(_directories))
            values: Hashable = None
            reading: Read | Reading = Reading(self._watch, kwargs)
            with guarded(SEAM):
                values = key_of(kwargs)
                reading = self._begin(name, values, kwargs, outer)
            if isinstance(reading, Read):
                return reading.text
            thread.reading, before = reading, self._noted()
            try:
                text = call(_file, _directories, _encoding, **kwargs)
            except BaseException:
                if outer is not None:
                    outer.sound = False
                raise
            finally:
                thread.reading = outer
            if before is None or self._noted() != before:
                reading.sound = False
            with guarded(SEAM):
                self._finish(reading, name, values, text, outer)
            return text

        return read_prompt_file

    def parses(self, original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
        """For ``parse_file``: only where its files lie is kept, for its values are new every time."""
        expect_parameters(original, "_filename", "_directories", "_encoding")
        reliance, thread = self._rely(original), self._thread
        self._together.joins("parse_file", switch)

        def parse_file(
            call: Any, _filename: Any, _directories: Any = None, _encoding: Any = "utf-8", **kwargs: Any
        ) -> Any:
            if not (
                reliance.holds() and self._noted() is not None and usual(_filename, _directories, _encoding)
            ):
                with self._aside():
                    return call(_filename, _directories, _encoding, **kwargs)
            outer = thread.reading
            name = ("parsed", _filename, None if _directories is None else tuple(_directories))
            given = None
            with guarded(SEAM):
                given, _ = self._kept(name, None)
            reading, before = Reading(self._watch, kwargs, given), self._noted()
            thread.reading = reading
            try:
                result = call(_filename, _directories, _encoding, **kwargs)
            finally:
                thread.reading = outer
            with guarded(SEAM):
                self._lookups.count(hit=given is not None)
                read = reading.read("") if before is not None and self._noted() == before else None
                if read is not None and (given is None or len(read.looks) > len(given.looks)):
                    self.templates.keep(name, None, read)
            return result

        return parse_file

    def finds(self, original: Callable[..., str], switch: Switch) -> Callable[..., Any]:
        """For ``find_file_in_dirs``: watched, and answered when the answer has just been found to hold."""
        expect_parameters(original, "_filename", "_directories")
        self._rely(original)
        thread = self._thread

        self._together.joins("find_file_in_dirs", switch)

        def find_file_in_dirs(call: Any, _filename: Any, _directories: Any) -> Any:
            reading = thread.reading
            if reading is None:
                return call(_filename, _directories)
            asked, reading.asking = reading.asking, False
            lookup = None
            with guarded(SEAM):
                if _directories is not None and usual(_filename, _directories, ""):
                    lookup = reading.look_up(self._space["get_abs_path"], _filename, _directories, asked)
            if lookup is None:
                reading.sound = False
            elif lookup.known and lookup.path is None:
                # The host catches it and goes on without variables.
                return call.via(_absent)(_filename)
            path = None if lookup is None else lookup.path
            if path is None:
                path = call(_filename, _directories)
            if lookup is not None and not lookup.known:
                with guarded(SEAM):
                    reading.answers[lookup.question] = path
                    if not asked:
                        reading.note_prompt(path, condition_names)
            if asked:
                # From here on it is the module's own code that asks, until `asks` has its answer.
                reading.ran, thread.reading = True, None
            return path

        return find_file_in_dirs

    def asks(self, original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
        """For ``load_plugin_variables``: watched, and answered when this read has asked before."""
        expect_parameters(original, "file", "backup_dirs")
        self._rely(original)
        thread = self._thread

        self._together.joins("load_plugin_variables", switch)

        def load_plugin_variables(call: Any, /, file: Any, backup_dirs: Any = None, **kwargs: Any) -> Any:
            reading = thread.reading
            if reading is None:
                return call(file, backup_dirs, **kwargs)
            before, outcome = _folders(backup_dirs), None
            with guarded(SEAM):
                outcome = reading.replayed(file, before)
            if outcome is not None:
                return call.via(lambda: self._replay(reading, outcome, backup_dirs, kwargs))()
            reading.asking, reading.ran = True, False
            value = error = None
            try:
                value = call(file, backup_dirs, **kwargs)
            except Exception as raised:
                error = raised
                raise
            finally:
                reading.asking, thread.reading = False, reading
                if reading.ran:
                    with guarded(SEAM):
                        asked = Variables(file, before, bool(kwargs), spelled(value))
                        reading.note_variables(Outcome(asked, value, error, _folders(backup_dirs)), kwargs)
            return value

        return load_plugin_variables

    def _replay(self, reading: Reading, outcome: Outcome, folders: Any, values: dict[str, Any]) -> Any:
        reading.note_variables(outcome, values)
        if folders is not None:
            folders[:] = outcome.folders
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _kept(self, name: Hashable, values: Hashable | None) -> tuple[Read | None, bool]:
        """A read of this template that holds, and whether it was one with these values."""
        read, same = self.templates.find(name, values)
        if read is None or self._watch.intact(read):
            return read, same
        self.templates.drop(name)
        return None, False

    def _begin(self, name: Any, values: Any, kwargs: dict[str, Any], outer: Reading | None) -> Read | Reading:
        """A read that is still true, or else what to watch the host's own read with."""
        if outer is not None and outer.given is not None:
            return Reading(self._watch, kwargs, outer.given, outer.queue)
        read, same = self._kept(name, values)
        if read is None or not same:
            return Reading(self._watch, kwargs, read, None if outer is None else outer.queue)
        queue: list[Outcome] = []
        if read.variables:
            if outer is not None:
                # Included: whoever includes it asks for the variables of all.
                return Reading(self._watch, kwargs, read, outer.queue)
            queue = self._ask(read, kwargs)
            if not self._watch.intact(read):
                return Reading(self._watch, kwargs, None, queue)
            if read.differs(queue):
                return Reading(self._watch, kwargs, read, queue)
            for outcome in queue:
                # The host adds its own values to the dictionary it was given, whoever else may hold that.
                if outcome.value:
                    outcome.value.update(kwargs)
        if outer is not None:
            outer.take(read)
        self._lookups.count(hit=True)
        return read

    def _ask(self, read: Read, kwargs: dict[str, Any]) -> list[Outcome]:
        """Call the variables modules of ``read`` as the host would, up to the first that raises."""
        thread = self._thread
        outer = thread.reading
        reading = thread.reading = Reading(self._watch, kwargs, read)
        try:
            for call in read.variables:
                folders = None if call.folders is None else list(call.folders)
                values = kwargs if call.with_values else {}
                self._space["load_plugin_variables"](call.file, folders, **values)
                if reading.variables[-1] != call:
                    break
        except Exception as error:
            if not reading.outcomes or reading.outcomes[-1].error is not error:
                raise
        finally:
            thread.reading = outer
        return reading.outcomes

    def _finish(
        self, reading: Reading, name: Hashable, values: Hashable, text: Any, outer: Reading | None
    ) -> None:
        self._lookups.count(hit=False)
        if type(text) is not str or not hides(text, reading.values, reading.names):
            reading.sound = False
        if outer is not None:
            outer.take(reading)
        if outer is None or outer.given is None:
            read = reading.read(text)
            if read is not None:
                self.templates.keep(name, values, read)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """The host alone: what it reads in here is neither watched nor answered."""
        thread = self._thread
        outer, thread.reading = thread.reading, None
        if outer is not None:
            outer.sound = False
        try:
            yield
        finally:
            thread.reading = outer


def _absent(file: Any) -> Any:
    raise FileNotFoundError(file)


def _folders(folders: Any) -> tuple[Any, ...] | None:
    return None if folders is None else tuple(folders)
