"""The console style: the same codes, and an HTML log that holds the same bytes at every moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.logging import console, log_text
from autoperf.instrumentation.agentzero.logging.console import LogFile
from autoperf.patching.patch import Patch, PatchSet, Switch, replacement
from autoperf.patching.sources import digest
from tests import output_host

STYLE = f"{output_host.NAME}.print_style:PrintStyle"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere the host's own code writes the file")


class Styled:
    """The module with our patches on it."""

    def __init__(self, module: Any, probe: Probe, patches: PatchSet) -> None:
        self.module = module
        self.probe = probe
        self.patches = patches
        self.path = Path(module.PrintStyle.log_file_path)
        self.opened: list[str] = []

    def write(self, text: str) -> None:
        """One piece, in the host's way of calling."""
        self.module.PrintStyle()._log_html(text)


@pytest.fixture
def styled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Styled]:
    with output_host.package(tmp_path) as host:
        module = host.print_style
        writers = {
            digest(module.PrintStyle._log_html): False,
            digest(module.Replacing._log_html): True,
        }
        monkeypatch.setattr(console, "WRITERS", writers)
        monkeypatch.setattr(console, "SANITIZERS", {digest(module.sanitize_string)})
        monkeypatch.setattr(console, "COLOURS", {digest(module.PrintStyle._get_rgb_color_code)})
        module.PrintStyle.log_file_path = str(tmp_path / "log.html")
        probe = Probe(None)
        places = {"colour": f"{STYLE}._get_rgb_color_code", "html": f"{STYLE}._log_html"}
        replacing = {"html": f"{output_host.NAME}.print_style:Replacing._log_html"}
        rows = [*console.rows(places, probe), *console.rows(replacing, probe)]
        patches = PatchSet([Patch(target, "output", build) for target, build in rows])
        patches.start()
        assert {row.state for row in patches.rows} == {"applied"}, [row.reason for row in patches.rows]
        yield Styled(module, probe, patches)
        patches.stop()
        for work in probe.at_stop:
            work()


@pytest.fixture
def opened(styled: Styled, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were opened by us."""
    seen: list[str] = []
    real = os.open

    def noted(path: Any, *rest: Any, **more: Any) -> int:
        seen.append(str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(console.os, "open", noted)
    return seen


def test_a_colour_is_worked_out_once(styled: Styled) -> None:
    style = styled.module.PrintStyle()
    for _ in range(3):
        assert style._get_rgb_color_code("red") == ("<red", False)
        assert style._get_rgb_color_code("red", True) == ("<red", True)
    assert styled.module.calls == ["red", "red"]
    styled.patches.stop()
    assert style._get_rgb_color_code("red") == ("<red", False)
    assert len(styled.module.calls) == 3


def test_the_file_is_complete_after_every_piece(styled: Styled, opened: list[str]) -> None:
    expected = ""
    for piece in ("<b>", "", "§ünïcode\n", "x" * 100_000, "end"):
        styled.write(piece)
        expected += piece
        assert styled.path.read_text(encoding="utf-8") == expected
    assert opened == [str(styled.path)]


def _delete(path: Path) -> None:
    path.unlink()


def _rotate(path: Path) -> None:
    path.rename(path.with_name("old.html"))


def _replace(path: Path) -> None:
    (path.parent / "new.html").write_text("other ")
    (path.parent / "new.html").replace(path)


def _truncate(path: Path) -> None:
    path.write_text("")


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("host ")


@pytest.mark.parametrize("change", [_delete, _rotate, _replace, _truncate, _append])
def test_a_file_that_somebody_changes_is_treated_as_the_host_does(
    styled: Styled, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    def told(write: Callable[[str], None]) -> dict[str, str]:
        for path in tmp_path.glob("*.html"):
            path.unlink()
        for piece in ("one ", "two "):
            write(piece)
        change(styled.path)
        for piece in ("three ", "four "):
            write(piece)
        return {path.name: path.read_text() for path in sorted(tmp_path.glob("*.html"))}

    ours = told(styled.write)
    styled.patches.stop()
    assert told(styled.write) == ours
    assert ours["log.html"].endswith("three four ")


def test_another_path_is_another_file(styled: Styled, tmp_path: Path) -> None:
    styled.write("one ")
    styled.module.PrintStyle.log_file_path = str(tmp_path / "other.html")
    styled.write("two ")
    assert (styled.path.read_text(), (tmp_path / "other.html").read_text()) == ("one ", "two ")


def test_what_the_host_cannot_write_fails_in_its_own_way(styled: Styled, tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        styled.write("a\ud800b")
    assert caught.traceback[-1].path.name != "printing.py"
    styled.module.Replacing()._log_html("a\ud800b")
    assert styled.path.read_text() == "a?b"
    styled.module.PrintStyle.log_file_path = str(tmp_path / "none" / "log.html")
    with pytest.raises(FileNotFoundError):
        styled.write("x")
    styled.module.PrintStyle.log_file_path = None
    with pytest.raises(TypeError):
        styled.write("x")


def test_what_is_left_after_a_failure_goes_through_the_host(
    styled: Styled, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.write, 0

    def halting(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data[:2])

    monkeypatch.setattr(console.os, "write", halting)
    styled.write("abcdefgh")
    assert calls == 3
    assert styled.path.read_text() == "abcdefgh"


def test_an_idle_file_is_closed_and_opened_again(tmp_path: Path) -> None:
    now = 0.0
    file, path = LogFile(lambda: now), str(tmp_path / "log")
    assert file.append(path, b"one ") == b""
    file.close_if_idle()
    assert _descriptors(path) == 1
    now = console.IDLE_S + 1
    file.close_if_idle()
    assert _descriptors(path) == 0
    file.append(path, b"two")
    assert Path(path).read_bytes() == b"one two"
    file.close()
    assert _descriptors(path) == 0


def _descriptors(path: str) -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link) == path for link in links)


def test_a_child_forked_in_the_middle_of_a_write_goes_on_in_the_same_file(
    tmp_path: Path,
) -> None:
    file, path = LogFile(), str(tmp_path / "log")
    file.append(path, b"parent ")
    file._lock.acquire()
    child = os.fork()
    if child == 0:
        file.forked()
        file.append(path, b"child ")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    file._lock.release()
    file.append(path, b"parent")
    assert Path(path).read_bytes() == b"parent child parent"
    assert not os.get_inheritable(file._fd)
    file.close()


def test_files_named_in_a_text_are_left_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def replace_file_includes(text: str, placeholder_pattern: str = log_text.PATTERN) -> str:
        asked.append((text, placeholder_pattern))
        return "included"

    monkeypatch.setattr(log_text, "KNOWN", {digest(replace_file_includes)})
    switch = Switch()
    patched = replacement(replace_file_includes, log_text.replacing, switch)
    text = "a long reply of §§secret(KEY) and nothing else"
    assert patched(text) is text
    assert patched(text, log_text.PATTERN) is text
    plain = "a long reply in plain letters"
    assert patched(plain) is plain
    assert asked == []
    assert patched("§§include(x)") == patched(text, "other") == "included"
    switch.on = False
    assert patched(text) == "included"
    assert [pattern for _, pattern in asked] == [log_text.PATTERN, "other", log_text.PATTERN]
