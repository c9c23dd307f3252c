"""Stamps: equal means unchanged, absence is a look too, and what was just written is not trusted."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import autoperf
from autoperf.memo.snapshot import ABSENT, Stamp, signature, stamp_or_none


@pytest.mark.parametrize("field", ["st_mtime_ns", "st_ctime_ns", "st_size", "st_ino", "st_dev"])
def test_what_differs_in_one_field_alone_is_another_file(tmp_path, field):
    seen = os.stat(tmp_path)
    fields = {name: getattr(seen, name) for name in dir(seen) if name.startswith("st_")}
    other = SimpleNamespace(**fields | {field: fields[field] + 1})
    assert signature(SimpleNamespace(**fields)) == signature(seen) != signature(other)


def test_an_edit_of_another_size_shows_even_at_the_same_time(tmp_path):
    path = tmp_path / "tool.py"
    path.write_text("a = 1\n")
    before, times = Stamp.of(str(path)), os.stat(path)
    path.write_text("a = 10\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Stamp.of(str(path)) != before


def test_a_replaced_file_of_the_same_size_and_time_shows(tmp_path):
    path, other = tmp_path / "tool.py", tmp_path / "other"
    path.write_text("a = 1\n")
    before, times = Stamp.of(str(path)), os.stat(path)
    other.write_text("a = 2\n")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, path)
    assert Stamp.of(str(path)) != before


def test_an_equally_long_edit_with_its_time_put_back_shows(tmp_path):
    path = tmp_path / "tool.py"
    path.write_text("a = 1\n")
    before, times = Stamp.of(str(path)), os.stat(path)
    time.sleep(0.06)
    path.write_text("a = 2\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Stamp.of(str(path)) != before


def test_what_was_just_written_is_not_trusted_whatever_time_it_was_given(tmp_path):
    path = tmp_path / "tool.py"
    path.write_text("a = 1\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert not Stamp.of(str(path)).settled(time.time_ns())


def test_no_other_code_compares_looks_by_a_rule_of_its_own():
    for source in Path(autoperf.__file__).parent.rglob("*.py"):
        # The others ask how old a file of our own is.
        if source.name not in ("snapshot.py", "launches.py", "processes.py", "use_lock.py"):
            assert not re.search(r"st_[mc]time|getmtime|getctime", source.read_text()), source


def test_absence_is_a_stamp(tmp_path):
    assert Stamp.of(str(tmp_path / "no.py")) is ABSENT
    assert Stamp.of_names(str(tmp_path / "no")) is ABSENT
    assert Stamp.of_contents(str(tmp_path / "no")) is ABSENT


def test_a_folder_shows_files_that_come_and_go(tmp_path):
    (tmp_path / "a.py").write_text("")
    before = Stamp.of_names(str(tmp_path), ".py")
    (tmp_path / "b.py").write_text("")
    added = Stamp.of_names(str(tmp_path), ".py")
    (tmp_path / "a.py").unlink()
    assert len({before, added, Stamp.of_names(str(tmp_path), ".py")}) == 3


def test_contents_show_an_edit_that_names_do_not(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("1")
    names, contents = Stamp.of_names(str(tmp_path), ".py"), Stamp.of_contents(str(tmp_path), ".py")
    path.write_text("22")
    assert Stamp.of_names(str(tmp_path), ".py") == names
    assert Stamp.of_contents(str(tmp_path), ".py") != contents


@pytest.mark.parametrize("name", ["x" * 10_000, "a\0b"])
def test_a_name_that_cannot_be_looked_at_is_nobodys_failure(tmp_path, name):
    assert stamp_or_none(Stamp.of, str(tmp_path / name)) is None


def test_what_was_written_within_a_tick_is_not_settled():
    now = time.time_ns() // 1_000_000_000 * 1_000_000_000 + 7
    assert not Stamp((), now).settled(now)
    assert not Stamp((), now - 40_000_000).settled(now)
    assert Stamp((), now - 60_000_000).settled(now)


def test_a_time_in_whole_seconds_is_trusted_later():
    second = 1_700_000_000_000_000_000
    assert not Stamp((), second).settled(second + 1_900_000_000)
    assert Stamp((), second).settled(second + 2_100_000_000)


def test_several_stamps_are_as_fresh_as_the_freshest(tmp_path):
    both = Stamp.together([Stamp((1,), 5), Stamp((2,), 9)])
    assert both.newest_ns == 9
    assert both != Stamp.together([Stamp((1,), 5), Stamp((3,), 9)])
