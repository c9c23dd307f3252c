"""Whose state directory it is: what a second account may have planted, and set-ups that are to work."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoperf.cli import main
from autoperf.errors import AutoperfError
from autoperf.insight.history import History
from autoperf.process.config import Config
from autoperf.process.installation import doctor
from autoperf.telemetry.store import state_directory
from autoperf.telemetry.store.store import Store

STRANGER = 4321
ANOTHER = 4322
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="accounts and modes are others there")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp that every account reaches."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user without a home has the state directory."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setenv("TMPDIR", str(shared))
    for name in ("AUTOPERF_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = Config.from_environ().state_dir
    assert found == shared / f"autoperf-{os.getuid()}"
    return found


@pytest.fixture
def home(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user with a home has it."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", f"{shared}/home"))
    (shared / "home").mkdir(mode=0o755)
    return state_directory.places()[0]


def kept(directory: Path) -> tuple[bool, list[str]]:
    """Whether a record was stored, and what was said."""
    said: list[str] = []
    with Store.open(directory, report=said.append) as store:
        return store.save_process({"pid": 1, "started": 1.0}), said


def only_root_goes_on() -> None:
    if os.geteuid() != 0:
        pytest.skip("the rest needs root, who can give files to another account")


def owned(path: Path, user: int) -> Path:
    if user != path.lstat().st_uid:
        only_root_goes_on()
    os.chown(path, user, user, follow_symlinks=False)
    return path


def refused(directory: Path, why: str) -> None:
    """No store, one line; readers and `doctor` say the same."""
    stored, said = kept(directory)
    assert not stored
    assert len(said) == 1
    assert why in said[0]
    assert "set AUTOPERF_HOME to a folder of your own" in said[0]
    assert why in str(state_directory.refusal(directory))
    found = [one for one in doctor.configuration(Config(home=directory), {}) if one.level == "problem"]
    assert [why in one.text for one in found] == [True]


def test_a_missing_one_is_made_for_the_user_alone(place: Path) -> None:
    assert state_directory.refusal(place) is None
    assert not place.exists()
    assert kept(place) == (True, [])
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert kept(place) == (True, []), "its own files are no reason"


def test_a_planted_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    owned(place, STRANGER)
    refused(place, f"{place} belongs to user {STRANGER}, in a folder that everybody may write")
    assert list(place.iterdir()) == []
    owned(place, os.getuid())
    assert kept(place)[1], "it was open to everybody"
    with sqlite3.connect(place / "autoperf.db") as connection:
        connection.execute("CREATE TABLE spans(x)")
    with pytest.raises(AutoperfError, match="everybody may write there"):
        History(place)
    assert main(["status"]) == 1
    assert "everybody may write there" in capsys.readouterr().err


@pytest.mark.parametrize("owner", [os.getuid() if hasattr(os, "getuid") else 0, STRANGER])
def test_a_link_in_its_place(place: Path, shared: Path, owner: int) -> None:
    elsewhere = shared / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    place.symlink_to(elsewhere)
    owned(place, owner)
    refused(place, "is a link" if owner != STRANGER else f"belongs to user {STRANGER}")
    assert list(elsewhere.iterdir()) == []


def test_one_that_others_may_read(place: Path) -> None:
    place.mkdir(mode=0o755)
    refused(place, "everybody may read there")
    place.chmod(0o720)
    refused(place, "its group may write there")


@pytest.mark.parametrize("name", ["autoperf.db", "autoperf.db-wal", "autoperf.db-shm", "autoperf.db-journal"])
def test_a_planted_file(place: Path, shared: Path, name: str) -> None:
    place.mkdir(mode=0o700)
    target = shared / "target"
    target.write_bytes(b"theirs")
    (place / name).symlink_to(target)
    refused(place, f"{name} in it is a link")
    assert target.read_bytes() == b"theirs"
    (place / name).unlink()
    os.link(target, place / name)
    refused(place, f"{name} in it has another name elsewhere")
    target.unlink()
    owned(place / name, STRANGER)
    refused(place, f"{name} in it belongs to user {STRANGER}")
    (place / name).unlink()
    os.mkfifo(place / name)
    refused(place, f"{name} in it is no file")


def test_a_temporary_folder_without_the_sticky_bit(place: Path, shared: Path) -> None:
    shared.chmod(0o777)
    refused(place, "lacks the sticky bit")


def test_the_one_in_the_home(home: Path, shared: Path) -> None:
    assert kept(home) == (True, [])
    home.chmod(0o755)
    assert kept(home) == (True, []), "others may look, the files are closed"
    home.chmod(0o775)
    refused(home, "its group may write there")
    home.chmod(0o700)
    owned(home, STRANGER)
    refused(home, f"it belongs to user {STRANGER}, not to user {os.getuid()}")


def test_links_on_the_way_home(home: Path, shared: Path) -> None:
    disk = shared / "home" / "disk"
    disk.mkdir()
    (shared / "home" / ".local").symlink_to("disk")
    assert kept(home) == (True, []), "the user's own link"
    assert (disk / "state" / "autoperf" / "autoperf.db").is_file()
    owned(shared / "home" / ".local", STRANGER)
    refused(home, f".local is a link that belongs to user {STRANGER}")


def test_a_circle_of_links(shared: Path) -> None:
    (shared / "one").symlink_to("two")
    (shared / "two").symlink_to("one")
    refused(shared / "one" / "state", "too many links on the way")


def volume(shared: Path, owner: int, mode: int) -> Path:
    found = shared / "container" / "usr"
    found.mkdir(parents=True)
    owned(found, owner)
    found.chmod(mode)
    return found


@pytest.mark.parametrize(
    ("owner", "mode"),
    [(0, 0o2775), (STRANGER, 0o755), (STRANGER, 0o2770), (0, 0o777), (0, 0o1777)],
    ids=["group-shared, root's", "bind mount of another's", "closed, of another's", "open", "open, sticky"],
)
def test_folders_that_an_operator_names(shared: Path, owner: int, mode: int) -> None:
    named = volume(shared, owner, mode) / "autoperf"
    assert kept(named) == (True, [])
    assert named.stat().st_mode & 0o777 == 0o700
    if not mode & 0o002:
        assert kept(named.parent) == (True, []), "the volume itself"


def test_a_named_folder_of_another_user_whose_files_it_holds(shared: Path) -> None:
    named = volume(shared, STRANGER, 0o755)
    assert kept(named) == (True, [])
    for file in named.iterdir():
        owned(file, STRANGER)
    assert kept(named) == (True, [])


def test_what_is_refused_of_named_ones(shared: Path) -> None:
    refused(shared, "everybody may write there")
    planted = shared / "planted"
    planted.mkdir()
    refused(owned(planted, STRANGER) / "state", "in a folder that everybody may write")
    link = shared / "link"
    link.symlink_to(volume(shared, os.getuid(), 0o755))
    assert kept(link) == (True, []), "this user's own link"
    refused(owned(link, STRANGER), "in a folder that everybody may write")


def as_user(user: int, groups: list[int], work: Callable[[], bool]) -> bool:
    """What ``work`` says in a process of that user."""
    only_root_goes_on()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setgroups(groups)
            os.setgid(user)
            os.setuid(user)
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_group_shares_a_volume_of_roots(shared: Path) -> None:
    named = volume(shared, 0, 0o2770)
    os.chown(named, 0, 77)
    assert as_user(STRANGER, [77], lambda: kept(named) == (True, []))
    assert (named / "autoperf.db").stat().st_uid == STRANGER


def test_a_second_account_cannot_plant_what_a_third_would_use(place: Path) -> None:
    def plant() -> bool:
        where = place.with_name(f"autoperf-{ANOTHER}")
        where.mkdir()
        where.chmod(0o777)
        return True

    assert as_user(STRANGER, [], plant)
    assert as_user(ANOTHER, [], lambda: kept(Config.from_environ().state_dir)[0] is False)
    assert list(place.with_name(f"autoperf-{ANOTHER}").iterdir()) == []


def test_a_file_system_without_modes(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = volume(shared, STRANGER, 0o777)
    named.parent.chmod(0o777)
    refused(named, "in a folder that everybody may write")
    monkeypatch.setattr(state_directory, "file_system", lambda _: "9p")
    assert kept(named) == (True, [])
