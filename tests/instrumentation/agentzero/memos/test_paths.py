"""Where an agent's files lie: at every moment the bare host's answer, whatever has just changed."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from autoperf.memo.inotify import FolderWatch
from tests.path_hosts import Pair, agent

TOOL = ("tools", "a.py")


@pytest.fixture(params=["v0_9_8", "v0_9_9"])
def host(request, tmp_path, monkeypatch):
    pair = Pair(request.param, tmp_path, monkeypatch)
    yield pair
    pair.patches.stop()
    for stop in pair.probe.at_stop:
        stop()


@pytest.fixture
def plugins(host):
    if "plugins" not in host.ours:
        pytest.skip("no plugins here")
    for name in ("one", "two"):
        host.write(f"plugins/{name}/plugin.yaml")
    return host


def unwatched(host):
    """As on a machine whose kernel tells nothing."""
    host.probe.path_answers._watch.close()


@pytest.mark.parametrize("watched", [True, False])
def test_a_long_walk_of_changes_never_shows_a_difference(host, watched):
    if not watched:
        unwatched(host)
    walk = Walk(host, random.Random(f"{watched}"))
    for _ in range(200):
        walk.change()
        walk.compare()
    assert host.hits > 200


class Walk:
    """Something changes on the disk or in the host, and every question is asked again."""

    FOLDERS = (
        *("tools", "python/tools", "usr/tools", "agents/p/tools", "usr/agents/p/tools", "agents/q/tools"),
        *("usr/projects/atlas/.a0proj/tools", "usr/projects/atlas/.a0proj/agents/p/tools"),
        *("plugins/one/tools", "plugins/two/agents/p/tools", "usr/plugins/one/tools", "plugins/two"),
    )

    def __init__(self, host, choice):
        self.host, self.random, self.root = host, choice, host.root
        for name in ("plugins/one", "plugins/two"):
            os.makedirs(self.root / name)

    def change(self):
        getattr(
            self, self.random.choice(["make", "make", "drop", "prune", "move", "link", "toggle", "clear"])
        )()

    def somewhere(self):
        return self.root / self.random.choice(self.FOLDERS)

    def make(self):
        folder = self.somewhere()
        if not os.path.lexists(folder):
            os.makedirs(folder, exist_ok=True)
        if folder.is_dir():
            (folder / self.random.choice(["a.py", "b.py"])).write_text("")

    def drop(self):
        path = self.somewhere() / "a.py"
        if os.path.lexists(path):
            path.unlink()

    def prune(self):
        folder = self.somewhere()
        folder = self.random.choice([folder, folder.parent])
        if (
            folder.is_dir()
            and not folder.is_symlink()
            and folder != self.root
            and "python" not in folder.name
        ):
            shutil.rmtree(folder)

    def move(self):
        folder = self.somewhere()
        there = folder.with_name("aside")
        for old, new in ((folder, there), (there, folder)):
            if old.exists() and not os.path.lexists(new):
                old.rename(new)
                return

    def link(self):
        folder = self.somewhere()
        if not os.path.lexists(folder) and folder.parent.is_dir():
            folder.symlink_to(self.root / "agents/q/tools")
        elif folder.is_symlink():
            folder.unlink()

    def toggle(self):
        if "plugins" in self.host.ours and (self.root / "plugins/one").is_dir():
            mark = self.root / "plugins/one/.toggle-0"
            mark.unlink() if mark.exists() else mark.write_text("")
            self.random.choice([self.host.clear, int])()

    def clear(self):
        if "cache" in self.host.ours:
            self.host.clear(self.random.choice(["*(plugins)*", "enabled_plugins_paths(plugins)", "other"]))

    def compare(self):
        for who in (agent("p"), agent("q", "atlas"), agent("p", "atlas"), agent(), None):
            for _ in range(2):
                self.host.ask(who, *TOOL)
            self.host.ask(who, "tools", must_exist_completely=False)
            self.host.ask(who, *TOOL, include_user=False)


def test_what_comes_and_goes_shows_at_the_next_call_and_nothing_else_asks_the_host(host):
    host.write("plugins/one/plugin.yaml")
    host.write("usr/tools/a.py")
    asked = agent("p")
    assert host.ask(asked, *TOOL) == ["usr/tools/a.py"]
    host.ask(asked, *TOOL)
    hits = host.hits
    for _ in range(3):
        host.ask(asked, *TOOL)
    # Names that no answer depends on are no change.
    host.write("usr/tools/__pycache__/a.pyc")
    host.ask(asked, *TOOL)
    assert host.hits == hits + 4
    host.write("agents/p/tools/a.py")
    assert host.ask(asked, *TOOL) == ["agents/p/tools/a.py", "usr/tools/a.py"]
    shutil.rmtree(host.root / "usr")
    assert host.ask(asked, *TOOL) == ["agents/p/tools/a.py"]
    os.rename(host.root / "agents/p", host.root / "agents/q")
    assert host.ask(asked, *TOOL) == []


def test_each_answer_is_a_list_of_its_own(host):
    host.write("usr/tools/a.py")
    for _ in range(3):
        host.ours["subagents"].get_paths(None, *TOOL).clear()
    assert host.ask(None, *TOOL) == ["usr/tools/a.py"]


def test_names_that_no_path_can_have_are_the_hosts_to_answer(host):
    for name in ("../x.py", "a" * 300, "nul\0", "", "a[bc].py", "./a.py", "\ud83d.py"):
        for _ in range(3):
            host.ask(agent("p"), "tools", name)


def test_a_folder_made_in_a_plugin_shows_though_the_host_keeps_a_list(plugins):
    for _ in range(3):
        assert plugins.ask(agent("p"), *TOOL) == []
    assert plugins.hits
    plugins.write("plugins/two/agents/p/tools/a.py")
    assert plugins.ask(agent("p"), *TOOL) == ["plugins/two/agents/p/tools/a.py"]
    # From then on the host has a list that is not empty, and keeps it until somebody clears it.
    plugins.write("plugins/one/agents/p/tools/a.py")
    assert plugins.ask(agent("p"), *TOOL) == ["plugins/two/agents/p/tools/a.py"]
    plugins.clear()
    assert len(plugins.ask(agent("p"), *TOOL)) == 2


def test_a_cleared_cache_acts_at_the_next_call(plugins):
    plugins.write("plugins/one/tools/a.py")
    for _ in range(3):
        assert plugins.ask(agent("p"), *TOOL) == ["plugins/one/tools/a.py"]
    plugins.write("plugins/one/.toggle-0")
    assert plugins.ask(agent("p"), *TOOL) == ["plugins/one/tools/a.py"]
    plugins.clear()
    assert plugins.ask(agent("p"), *TOOL) == []


@pytest.mark.parametrize("change", ["toggle_global", "toggle_area", "list"])
def test_what_somebody_does_to_the_hosts_cache_is_respected(plugins, change):
    plugins.write("plugins/one/tools/a.py")
    for _ in range(3):
        plugins.ask(agent("p"), *TOOL)
    for host in (plugins.bare, plugins.ours):
        cache = host["cache"]
        if change == "toggle_global":
            cache.toggle_global(False)
        elif change == "toggle_area":
            cache.toggle_area(host["plugins"].ENABLED_PLUGINS_PATHS_CACHE_AREA, False)
        else:
            area = host["plugins"].ENABLED_PLUGINS_PATHS_CACHE_AREA
            cache.get(area, ("p", "none")).clear()
    plugins.write("plugins/one/.toggle-0")
    for _ in range(3):
        plugins.ask(agent("p"), *TOOL)


def state(pair):
    return {row.patch.path[-1]: row.as_row()["state"] for row in pair.patches.rows}["get_paths"]


def test_lists_of_plugins_that_are_not_where_they_are_read_are_told(plugins):
    hosts = (plugins.bare, plugins.ours)
    for host in hosts:
        host["cache"].toggle_global(False)
    for _ in range(20):
        assert state(plugins) == "applied"
        plugins.ask(agent("p"), *TOOL)
    assert state(plugins) == "off", "the host's own switch"
    for host in hosts:
        host["cache"].toggle_global(True)
    for _ in range(3):
        plugins.ask(agent("p"), *TOOL)
    assert state(plugins) == "applied"
    for host in hosts:
        host["cache"].add = lambda *_: None
        host["cache"].clear("*")
    for _ in range(20):
        assert state(plugins) == "applied"
        plugins.ask(agent("p"), *TOOL)
    assert state(plugins) == "unrecognised"


def test_that_nothing_is_noted_any_more_is_told_though_what_was_kept_is_given(host):
    host.write("plugins/one/plugin.yaml")
    for _ in range(3):
        host.ask(agent("p"), *TOOL)
    (exists,) = (row for row in host.patches.rows if row.patch.path[-1] == "exists")
    exists.switch.on = False
    exists.switch.stand_aside("switched off after 20 failures", "failed")
    for name in ("b.py", "c.py"):
        host.ask(agent("p"), "tools", name)
        before = host.hits
        host.ask(agent("p"), *TOOL)
        assert host.hits == before + 1
        assert state(host) == "failed", "it relies on what does not act"


def test_entries_that_an_answer_came_from_stay_as_young_as_the_host_keeps_them(plugins):
    for _ in range(3):
        plugins.ask(agent("p"), *TOOL)
    entries = [entry for area in plugins.ours["cache"]._cache.values() for entry in area.values()]
    for entry in entries:
        entry.timestamp = 0.0
    hits = plugins.hits
    plugins.ours["subagents"].get_paths(agent("p"), *TOOL, **plugins.options)
    assert plugins.hits == hits + 1
    # What only the list of all plugins was made from is not read any more, by the host neither.
    assert sorted(entry.timestamp > 0 for entry in entries) == [False, True, True, True]


def test_a_function_that_somebody_put_in_its_place_is_asked(plugins):
    for _ in range(3):
        plugins.ask(agent("p"), "tools")
    plugins.write("elsewhere/tools")
    for host in (plugins.bare, plugins.ours):
        host["plugins"].get_enabled_plugin_paths = lambda *args: [str(plugins.root / "elsewhere")]
    for _ in range(3):
        assert plugins.ask(agent("p"), "tools") == ["elsewhere/tools"] * 2
    assert state(plugins) == "unrecognised"


def test_code_that_asks_for_more_than_is_known_is_asked_every_time(host):
    names = vars(host.ours["projects"])
    exec("import time\ndef get_project_folder(name):\n    return str(time.time())\n", names)
    for _ in range(3):
        host.ask(agent("p"), *TOOL)
    assert host.hits == 0
    states = {row.patch.path[-1]: row.as_row()["state"] for row in host.patches.rows}
    assert states["get_paths"] == "unrecognised", "it answers nothing, and that is told"


def test_a_folder_beyond_a_link_is_looked_at_every_time(host):
    (host.root / "far").mkdir()
    (host.root / "usr").symlink_to(host.root / "far")
    for _ in range(3):
        assert host.ask(None, *TOOL) == []
    host.write("far/tools/a.py")
    assert host.ask(None, *TOOL) == ["usr/tools/a.py"]


def test_switched_off_it_is_the_host(host):
    host.patches.rows[-1].switch.on = False
    for _ in range(3):
        host.ask(agent("p"), *TOOL)
    assert host.hits == 0


def test_a_child_made_by_fork_has_a_watch_of_its_own(host):
    for _ in range(3):
        host.ask(agent("p"), *TOOL)
    child = os.fork()
    if not child:
        try:
            for renew in host.probe.after_fork:
                renew()
            host.ask(agent("p"), *TOOL)
            host.write("usr/tools/a.py")
            os._exit(host.ask(agent("p"), *TOOL) != ["usr/tools/a.py"])
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert host.ask(agent("p"), *TOOL) == ["usr/tools/a.py"]


def test_a_watch_stops_with_everything_else(host):
    watch = host.probe.path_answers._watch
    assert watch.watch([str(host.root)])
    descriptor = watch._queue.fd
    for stop in host.probe.at_stop:
        stop()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
    assert not watch.watch(["/tmp/x"])


def test_the_watch_is_used_where_there_is_one(host):
    watch = FolderWatch()
    works = watch.watch([str(host.root)])
    watch.close()
    assert works or os.name != "posix" or os.uname().sysname != "Linux"
