"""Tools, extensions and a server for `autoperf.benchmark.scenarios.situations`, as source."""

from __future__ import annotations

WAITS = """\
import asyncio
import urllib.request

from {package}.tool import Response, Tool


class AutoperfWaits(Tool):
    async def execute(self, **kwargs):
        def ask():
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open("{model_url}/meanwhile", data=b"{}", timeout=120).read()

        await asyncio.get_running_loop().run_in_executor(None, ask)
        return Response(message="waited", break_loop=False)
"""

EDITS = """\
import asyncio
import os
from pathlib import Path

from {package} import files
from {package}.tool import Response, Tool


class AutoperfEdits(Tool):
    async def execute(self, path="", text="", wait=0, env=None, **kwargs):
        target = Path(files.get_abs_path(path))
        if text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.replace("{" + "package}", "{package}"))
        elif target.exists():
            target.unlink()
        os.environ.update(env or {})
        # What the watchdogs of v0.9.9 and later do when they notice the change; here it is done at once.
        try:
            from {package} import cache

            cache.clear_all()
        except ImportError:
            pass
        await asyncio.sleep(float(wait))
        return Response(message=f"edited {path}", break_loop=False)
"""

OVERRIDE = """\
from {package}.tool import Response, Tool


class Overridden(Tool):
    async def execute(self, text="", **kwargs):
        return Response(message=f"override in VERSION: {text}", break_loop=False)
"""

EXTENSION = """\
from {package}.extension import Extension


class AutoperfExtension(Extension):
    async def execute(self, **kwargs):
        self.agent.context.log.log(type="info", heading="autoperf extension", content="VERSION")
"""

ARGUMENTS = """\
from {package}.extension import Extension


class AutoperfArguments(Extension):
    def execute(self, data=None, **kwargs):
        names = sorted(data["kwargs"]) if data else []
        self.agent.context.log.log(type="info", heading="POINT", content=f"{len(data['args'])} {names}")
        if data["kwargs"].get("args"):
            data["kwargs"]["args"] = {**data["kwargs"]["args"], "text": "replaced at the start"}
"""

RESULT = """\
from {package}.extension import Extension
from {package}.tool import Response


class AutoperfResult(Extension):
    def execute(self, data=None, **kwargs):
        tool = data["result"]
        shown = f"{type(tool).__name__} {tool.name} {sorted(vars(tool))} {tool.execute.__name__}"
        self.agent.context.log.log(type="info", heading="POINT", content=shown)
"""

COUNTS = """\
from {package}.extension import Extension


class AutoperfCounts(Extension):
    def execute(self, data=None, **kwargs):
        count = (self.agent.get_data("autoperf_count") or 0) + 1
        self.agent.set_data("autoperf_count", count)
        self.agent.context.log.log(type="info", heading="POINT", content=f"{count} {sorted(kwargs)}")
"""

RAISES = """\
from {package}.extension import Extension


class AutoperfRaises(Extension):
    def execute(self, data=None, **kwargs):
        done = self.agent.get_data("autoperf POINT")
        self.agent.set_data("autoperf POINT", True)
        if not done:
            raise ValueError("raised by an extension at POINT")
"""

STATES = """\
import functools

from {package}.tool import Response, Tool

SEEN = []
COUNT = 0


@functools.lru_cache(maxsize=None)
def cached(number):
    return number


def helper():
    return 0


class Marker:
    pass


class AutoperfStates(Tool):
    total = 0
    names = []
    busy = False

    def _defaults(self, kept={}):
        kept[len(kept)] = None
        return len(kept)

    async def execute(self, mark="", **kwargs):
        global COUNT
        COUNT += 1
        SEEN.append(COUNT)
        type(self).total += 1
        self.names.append(mark)
        cached(COUNT)
        before = self.agent.get_data("autoperf_class")
        self.agent.set_data("autoperf_class", type(self))
        older = self.agent.get_data("autoperf_marker")
        self.agent.set_data("autoperf_marker", Marker())
        shown = [
            COUNT, len(SEEN), self.total, len(self.names), cached.cache_info().hits, self._defaults(),
            before is type(self), isinstance(older, Marker), getattr(helper, "calls", 0),
        ]
        helper.calls = 1
        return Response(message=f"states: {shown}", break_loop=False)
"""

READS = """\
import os

from {package} import files
from {package}.tool import Response, Tool

MODE = os.environ.get("AUTOPERF_MODE", "no mode")
WORLD = files.read_file("tmp/autoperf_world.txt")


class AutoperfReads(Tool):
    mode = os.environ["AUTOPERF_MODE"] if "AUTOPERF_MODE" in os.environ else "none"

    async def execute(self, **kwargs):
        return Response(message=f"reads: {MODE}, {WORLD}, {self.mode}", break_loop=False)
"""

# Says "as it was" in a bare host, and in an instrumented one when nothing of the instrumentation is left.
UNDOES = """\
import os
import sys

from {package}.tool import Response, Tool


def ours(function):
    made_in = getattr(getattr(function, "__code__", None), "co_filename", "")
    return made_in.startswith(os.path.dirname(sys.modules["autoperf"].__file__) + os.sep)


def leftovers():
    runtime = sys.modules.get("autoperf.process.runtime")
    if runtime is None or runtime.current() is None:
        return []
    rows = [row for row in runtime.current().patches.rows if row.state == "applied"]
    sys.modules["autoperf"].uninstrument()
    found = [row.patch.target for row in rows if row.state != "undone"]
    for row in rows:
        name = row.patch.path[-1]
        now = vars(row.owner).get(name)
        # What the host's decorator had made of us is the decorator's own again.
        if now is not row.raw and (ours(now) or not ours(row.raw)):
            found.append(f"{row.patch.target} is not the original")
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None) or {}
            if any(value is row.replacement for value in list(names.values())):
                found.append(f"{row.patch.target} is still in {module.__name__}")
    return found + [repr(finder) for finder in sys.meta_path if "autoperf" in type(finder).__module__]


class AutoperfUndoes(Tool):
    async def execute(self, **kwargs):
        return Response(message=", ".join(leftovers()) or "as it was", break_loop=False)
"""

# Has the host's scheduler work on a task and waits for it, so that the replies keep their order.
SCHEDULES = """\
import asyncio

from {package}.task_scheduler import AdHocTask, TaskScheduler, TaskState
from {package}.tool import Response, Tool


class AutoperfSchedules(Tool):
    async def execute(self, prompt="", **kwargs):
        scheduler = TaskScheduler.get()
        task = AdHocTask.create(name="autoperf", system_prompt="", prompt=prompt, token="1")
        await scheduler.add_task(task)
        await scheduler.run_task_by_uuid(task.uuid)
        for _ in range(600):
            await asyncio.sleep(0.05)
            found = scheduler.get_task_by_uuid(task.uuid)
            if found.last_run and found.state == TaskState.IDLE:
                await scheduler.remove_task_by_uuid(task.uuid)
                return Response(message=f"{{found.last_result}}", break_loop=False)
        return Response(message="it never ended", break_loop=False)
"""

WRITER_FILE = "autoperf_writer.py"
# Versions differ in length: bytecode caches compare size and whole seconds only, in the bare host as well.
WRITER = '''\
from pathlib import Path

from {package}.tool import Response, Tool

SOURCE = """
from {package}.tool import Response, Tool


class AutoperfWritten(Tool):
    async def execute(self, text="", **kwargs):
        return Response(message="VERSION: " + text, break_loop=False)
"""


class AutoperfWriter(Tool):
    async def execute(self, version="", **kwargs):
        path = Path(__file__).with_name("autoperf_written.py")
        if version:
            path.write_text(SOURCE.replace("VERSION", version))
        else:
            path.unlink()
        return Response(message=f"written: {version!r}", break_loop=False)
'''
