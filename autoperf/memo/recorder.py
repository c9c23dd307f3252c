"""What is kept of prompt files that were read: where they were found, and the texts made of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

from autoperf.memo.inputs import Inputs
from autoperf.memo.snapshot import Look
from autoperf.memo.watch import Snapshot, Watch

TEMPLATES: Final = 1024
TEXTS_EACH: Final = 8
LONGEST_TEXT: Final = 262_144  # characters
ALL_TEXTS: Final = 8_388_608

Question = tuple[str, tuple[str, ...]]


class Variables(NamedTuple):
    """One call of a variables module: its arguments but for the prompt's own values, and what it gave."""

    file: str
    folders: tuple[str, ...] | None
    with_values: bool
    spelled: str | None


class Read(Snapshot):
    """One read of a prompt file: which paths it looked at, what it found there, and what text came of it."""

    __slots__ = ("answers", "names", "text", "variables")

    def __init__(
        self,
        answers: dict[Question, str | None],
        looks: dict[str, Look],
        names: frozenset[str],
        variables: list[Variables],
        text: str,
    ) -> None:
        super().__init__(looks)
        self.answers = answers
        self.names = names
        self.variables = variables
        self.text = text

    def differs(self, queue: list[Outcome]) -> bool:
        """Whether the variables modules that were just called are others, or gave something else."""
        return [outcome.call for outcome in queue] != self.variables or any(o.altered for o in queue)


class Outcome(NamedTuple):
    """What a variables module gave or raised, and what it left in the list of folders it was handed."""

    call: Variables
    value: Any
    error: BaseException | None
    folders: tuple[str, ...] | None

    @property
    def altered(self) -> bool:
        """Whether the module changed the list of folders."""
        return self.folders != self.call.folders


class Lookup(NamedTuple):
    """Where a file lies: ``path`` where the answer is ``known``, None there for nowhere."""

    question: Question
    known: bool
    path: str | None


class Reading:
    """A read of a prompt file that the host is doing now.

    ``given`` is an earlier read of the same file whose paths were just found unchanged: where a file lies
    need not be looked up again. ``queue`` are calls of variables modules that were already made for it.
    ``sound`` turns false when something shows up that no look can watch.
    """

    __slots__ = (
        "answers",
        "asking",
        "given",
        "inputs",
        "names",
        "outcomes",
        "queue",
        "ran",
        "sound",
        "values",
        "variables",
    )  # fmt: skip

    def __init__(
        self,
        watch: Watch,
        values: dict[str, Any],
        given: Read | None = None,
        queue: list[Outcome] | None = None,
    ) -> None:
        self.values = values
        self.given = given
        self.queue = queue or []
        self.inputs = Inputs(watch)
        self.answers: dict[Question, str | None] = {}
        self.names: frozenset[str] = frozenset()
        self.variables: list[Variables] = []
        self.outcomes: list[Outcome] = []
        self.sound = True
        self.asking = False  # for a variables module, and not yet answered
        self.ran = False  # such a module was found
        if given is not None:
            self.answers.update(given.answers)
            self.names = given.names
            self.inputs.add(given.looks)

    def note_prompt(self, path: str, condition_names: Callable[[str], frozenset[str] | None]) -> None:
        """The host is about to read the prompt file ``path``; its conditions are looked at."""
        try:
            self.inputs.file(path)
            with open(path, encoding="utf-8", errors="replace") as file:
                names = condition_names(file.read())
        except (OSError, ValueError):
            names = None
        if names is None:
            self.sound = False
        else:
            self.names |= names

    def look_up(
        self, resolve: Callable[[str, str], str], file: str, folders: list[str], asked: bool
    ) -> Lookup:
        """Where ``file`` lies in ``folders``, if known; else what the host is about to look at is noted."""
        question = (file, tuple(folders))
        if self.given is not None and question in self.given.answers:
            path = self.given.answers[question]
            if asked or path is not None:
                return Lookup(question, True, path)
        self.note_lookup([resolve(folder, file) for folder in folders])
        if asked:
            self.answers[question] = None
        return Lookup(question, False, None)

    def note_lookup(self, candidates: list[str]) -> None:
        """The host is about to look for a file in these places, in order."""
        try:
            for path in candidates:
                self.inputs.name(path)
        except (OSError, ValueError):
            self.sound = False

    def note_variables(self, outcome: Outcome, values: dict[str, Any]) -> None:
        """A variables module was called with ``values``, or its call was replayed."""
        self.outcomes.append(outcome)
        self.variables.append(outcome.call)
        known = self.values
        same = values.keys() == known.keys() and all(values[name] is known[name] for name in values)
        if (
            outcome.error is not None
            or outcome.altered
            or outcome.call.spelled is None
            or (values and not same)
        ):
            self.sound = False

    def replayed(self, file: Any, folders: tuple[str, ...] | None) -> Outcome | None:
        """The next call in the queue, if it is this one."""
        if not self.queue:
            return None
        call = self.queue[0].call
        if call.file != file or call.folders != folders:
            return None
        return self.queue.pop(0)

    def take(self, inner: Reading | Read) -> None:
        """An included file was read meanwhile: what it depended on, this read depends on."""
        looks = inner.looks if isinstance(inner, Read) else inner.inputs.looks
        if not self.inputs.add(looks) or (isinstance(inner, Reading) and not inner.sound):
            self.sound = False
        self.answers.update(inner.answers)
        self.names |= inner.names
        self.variables += inner.variables

    def read(self, text: str) -> Read | None:
        """What to keep of it, or None when that cannot be trusted."""
        if not self.sound or not self.inputs.settled():
            return None
        return Read(self.answers, self.inputs.looks, self.names, self.variables, text)


class Template:
    """One prompt file as seen from one list of folders: its latest read, and its texts by values."""

    __slots__ = ("latest", "size", "texts")

    def __init__(self) -> None:
        self.latest: Read | None = None
        self.texts: OrderedDict[Hashable, Read] = OrderedDict()
        self.size = 0


class Templates:
    """All templates of a process, least recently used first; bounded in number and in characters."""

    def __init__(self) -> None:
        self._templates: OrderedDict[Hashable, Template] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.RLock()

    def find(self, name: Hashable, values: Hashable | None) -> tuple[Read | None, bool]:
        """The read of a template with these values and True; else the latest one with any, and False."""
        with self._lock:
            template = self._templates.get(name)
            if template is None:
                return None, False
            self._templates.move_to_end(name)
            read = None if values is None else template.texts.get(values)
            return (template.latest, False) if read is None else (read, True)

    def keep(self, name: Hashable, values: Hashable | None, read: Read) -> None:
        """Keep a read; with ``values`` None only where its files were found, not its text."""
        size = len(read.text)
        with self._lock:
            template = self._templates.setdefault(name, Template())
            template.latest = read
            if values is not None and size <= LONGEST_TEXT:
                self._forget(template, template.texts.pop(values, None))
                template.texts[values] = read
                template.size += size
                self._size += size
                while len(template.texts) > TEXTS_EACH:
                    self._forget(template, template.texts.popitem(last=False)[1])
            while len(self._templates) > 1 and (len(self._templates) > TEMPLATES or self._size > ALL_TEXTS):
                self._size -= self._templates.popitem(last=False)[1].size

    def drop(self, name: Hashable) -> None:
        """Forget a template whose files have changed."""
        with self._lock:
            template = self._templates.pop(name, None)
            self._size -= 0 if template is None else template.size

    def clear(self) -> int:
        """Forget everything; how many templates there were."""
        with self._lock:
            count = len(self._templates)
            self._templates.clear()
            self._size = 0
            return count

    def _forget(self, template: Template, read: Read | None) -> None:
        if read is not None:
            template.size -= len(read.text)
            self._size -= len(read.text)
