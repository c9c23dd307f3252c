"""The contract of every memo: an answer is given again while, and only while, its inputs are unchanged."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.errors.calls import Call
from autoperf.errors.fence import MISS
from autoperf.memo import inputs as memo_inputs
from autoperf.memo.counters import Lookups
from autoperf.memo.inputs import LINKED, TOO_MANY, Inputs, UnkeptError
from autoperf.memo.memo import FIRST, UNREADABLE, UNSETTLED, Memo
from autoperf.memo.watch import Watch


@pytest.fixture(params=[True, False], ids=["watched", "looked at"])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    made = Watch(inotify=request.param)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def a_while_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every question came a while after every change."""
    monkeypatch.setattr(memo_inputs.time, "time_ns", lambda: int((time.time() + 5) * 1e9))


class Host:
    """A function of a host that reads one file, and our wrapper in front of it."""

    def __init__(self, watch: Watch, folder: Path, **options: Any) -> None:
        self.file = folder / "inside" / "file"
        self.file.parent.mkdir()
        self.file.write_text("first")
        self.calls = 0
        self.lookups = Lookups()
        self.during: Callable[[], object] = lambda: None
        self.memo: Memo[list[str]] = Memo(watch, self.lookups, **options)
        self.wrapper = self.memo.wrapper(
            "a memo",
            key=lambda name="file": name if name != "other" else None,
            inputs=self.inputs,
            freeze=self.freeze,
            thaw=lambda kept, _key: list(kept),
        )

    def inputs(self, noted: Inputs, key: str) -> None:
        path = self.file.parent / key
        if path.is_symlink():
            raise UnkeptError(LINKED)
        noted.file(str(path))

    def freeze(self, result: list[str], _key: str) -> list[str]:
        if result == ["unkept"]:
            raise UnkeptError("not to be kept")
        return list(result)

    def read(self, name: str = "file") -> list[str]:
        self.calls += 1
        path = self.file.parent / name
        text = path.read_text() if path.exists() else "absent"
        self.during()
        return [text]

    def ask(self, *name: str) -> list[str]:
        answer: list[str] = self.wrapper(Call(self.read), *name)
        return answer

    def asks_the_host(self, *name: str) -> bool:
        """Whether the host is asked; the answer is what it would say, and the caller's own."""
        before = self.calls
        answer = self.ask(*name)
        asked = self.calls > before
        assert answer == self.read(*name)
        answer.append("mine")
        return asked


@pytest.fixture
def host(watch: Watch, tmp_path: Path) -> Host:
    return Host(watch, tmp_path)


def warm(host: Host) -> None:
    """Ask until the watch, where there is one, has taken over."""
    host.asks_the_host()
    assert not any(host.asks_the_host() for _ in range(6))


def back(path: Path) -> None:
    seen = path.stat()
    path.write_text("fir$t")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def swapped(path: Path) -> None:
    other = path.parent.parent / "other"
    other.mkdir()
    (other / "file").write_text("another")
    path.parent.rename(path.parent.parent / "old")
    other.rename(path.parent)


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("else"),
    "as long, its time put back": back,
    "appended": lambda path: path.open("a").write("more"),
    "replaced": lambda path: os.replace(_new(path), path),
    "deleted": lambda path: path.unlink(),
    "through a hard link": lambda path: (os.link(path, f"{path}2"), Path(f"{path}2").write_text("linked")),
    "its folder renamed": lambda path: path.parent.rename(path.parent.parent / "gone"),
    "another folder in its place": swapped,
}


def _new(path: Path) -> Path:
    made = path.with_name("new")
    made.write_text("new")
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_at_once(host: Host, change: str) -> None:
    warm(host)
    CHANGES[change](host.file)
    assert host.asks_the_host()
    assert not host.asks_the_host()


def test_what_was_absent_and_appears(host: Host) -> None:
    assert [host.asks_the_host("later") for _ in range(6)] == [True] + [False] * 5
    (host.file.parent / "later").write_text("here")
    assert host.asks_the_host("later")


def test_a_change_during_the_call_is_seen_at_the_next(host: Host) -> None:
    host.during = lambda: host.file.write_text("changed meanwhile")
    assert host.ask() == ["first"]
    host.during = lambda: None
    assert host.ask() == ["changed meanwhile"]


def test_what_has_just_been_touched_is_not_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_inputs.time, "time_ns", lambda: host.file.stat().st_mtime_ns)
    assert all(host.asks_the_host() for _ in range(3))
    assert host.lookups.reasons == {UNSETTLED: 3}


def test_why_nothing_was_kept_is_counted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.file.parent / "link").symlink_to(host.file)
    (host.file.parent / "unkept").write_text("unkept")
    for name, reason in (
        ("file", FIRST),
        ("link", LINKED),
        ("unkept", "not to be kept"),
        ("a\0b", UNREADABLE),
    ):
        host.lookups.reasons.clear()
        monkeypatch.setattr(host, "read", lambda name: ["unkept" if name == "unkept" else "read"])
        host.wrapper(Call(host.read), name)
        assert host.lookups.reasons == {reason: 1}


def test_what_only_the_host_can_tell_is_not_counted(host: Host) -> None:
    assert all(host.asks_the_host("other") for _ in range(3))
    assert host.lookups.total() == 0


def test_what_the_host_raises_passes_and_is_not_kept(host: Host) -> None:
    def fails() -> None:
        raise KeyError("the host's")

    host.during = fails
    for _ in range(2):
        with pytest.raises(KeyError, match="the host's"):
            host.ask()
    host.during = lambda: None
    assert host.asks_the_host()
    assert not failures.as_rows()


@pytest.mark.parametrize("part", ["key", "inputs", "freeze", "thaw"])
@pytest.mark.usefixtures("fail_open")
def test_a_failure_of_ours_leaves_it_to_the_host(watch: Watch, tmp_path: Path, part: str) -> None:
    def fails(*_args: Any) -> Any:
        raise RuntimeError("ours")

    host = Host(watch, tmp_path)
    parts: dict[str, Any] = {"key": lambda: "file", "inputs": host.inputs, "freeze": host.freeze}
    wrapper = host.memo.wrapper("a memo", **{**parts, "thaw": lambda kept, _: list(kept), part: fails})
    assert [wrapper(Call(host.read)) for _ in range(3)] == [["first"]] * 3
    assert host.calls == 3
    assert failures.of("a memo") >= 1


def test_twice_alike(watch: Watch, tmp_path: Path) -> None:
    host = Host(watch, tmp_path, twice=True)
    assert [host.asks_the_host() for _ in range(4)] == [True, True, False, False]
    host.file.write_text("else")
    assert [host.asks_the_host() for _ in range(3)] == [True, True, False]


def test_twice_alike_but_not_from_the_same(watch: Watch, tmp_path: Path) -> None:
    host = Host(watch, tmp_path, twice=True)
    assert host.asks_the_host()
    host.file.write_text(host.file.read_text())
    assert [host.asks_the_host() for _ in range(3)] == [True, True, False]


def test_two_that_saw_a_path_differently_do_not_agree(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    one, same, other = Inputs(watch), Inputs(watch), Inputs(watch)
    one.file(str(path))
    same.file(str(path))
    path.write_text("else")
    other.file(str(path))
    assert one.add(same.looks)
    assert not one.add(other.looks)


def test_what_was_taken_over_may_be_too_young_to_trust(watch: Watch) -> None:
    inputs = Inputs(watch)
    assert inputs.settled()
    inputs.add({"/file": (inputs._began_ns, 0, 1, 1, 1)})
    assert not inputs.settled()


def test_a_tree_of_more_folders_than_that_is_not_kept(watch: Watch, tmp_path: Path) -> None:
    if not watch.inotify:
        pytest.skip("no tree is kept where nothing tells of names")
    (tmp_path / "a/b").mkdir(parents=True)
    Inputs(watch).tree(str(tmp_path), 3, bool)
    with pytest.raises(UnkeptError, match=TOO_MANY):
        Inputs(watch).tree(str(tmp_path), 2, bool)


def test_twice_but_not_alike(watch: Watch, tmp_path: Path) -> None:
    host = Host(watch, tmp_path, twice=True)
    answers = iter(["read", "", "read", "read"])
    host.read = lambda: [next(answers)]  # type: ignore[method-assign, assignment]
    assert [host.ask() for _ in range(6)] == [["read"], [""], ["read"], ["read"], ["read"], ["read"]]


def test_the_least_recently_used_goes_first(watch: Watch, tmp_path: Path) -> None:
    host = Host(watch, tmp_path, entries=2)
    for name in ("one", "two", "one", "three"):
        host.asks_the_host(name)
    assert [host.asks_the_host(name) for name in ("one", "three", "two")] == [False, False, True]


def test_a_host_whose_module_is_executed_again_shares_nothing(host: Host) -> None:
    warm(host)
    again = host.memo.wrapper("a memo", key=lambda: "file", inputs=host.inputs, freeze=host.freeze)
    before = host.calls
    again(Call(host.read))
    assert host.calls == before + 1


def test_cleared_the_host_is_asked(host: Host) -> None:
    warm(host)
    assert host.memo.clear() == 1
    assert host.asks_the_host()
    assert host.memo.find("nothing kept under this") is MISS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_child_it_looks_and_waits_for_nobody(host: Host, watch: Watch) -> None:
    warm(host)
    with host.memo._lock:
        pid = os.fork()
        if not pid:
            host.memo.forked()
            watch.forked()
            held = not host.asks_the_host()
            host.file.write_text("else")
            os._exit(0 if held and host.asks_the_host() else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_threads_that_ask_while_it_changes_never_get_what_is_over(host: Host) -> None:
    """Whoever asks after a change has been written is told of it."""
    wrong: list[str] = []
    written = ["first"]
    over = threading.Event()

    def asks() -> None:
        while not over.is_set():
            before = written[-1]
            (answer,) = host.ask()
            if int(answer or 0) < int(before or 0):
                wrong.append(f"{answer} after {before}")

    written[0] = "0"
    host.file.write_text("0")
    threads = [threading.Thread(target=asks) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 200):
        new = host.file.with_name("new")
        new.write_text(str(number))
        os.replace(new, host.file)
        written.append(str(number))
    over.set()
    for thread in threads:
        thread.join(10)
    assert wrong == []
