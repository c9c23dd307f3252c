"""Raises exceptions in functions of autoperf, as FAULTS_PLAN says; on PYTHONPATH of a host, see `faults.py`.

autoperf's own sitecustomize runs this one after itself, so it is there before the host's first import. The
launcher becomes the host by exec, under the same number; a process that the host starts has another one.
"""

import atexit
import builtins
import json
import os
import random
import re
import sys

TOOL = 4  # of `sys.monitoring`: 3 is `state.py`'s, the others have names
DRIVER = os.path.join("hosts", "introduction.py")
KINDS = ("RuntimeError", "KeyError", "OSError", "ValueError", "TypeError", "AttributeError")


class Injector:
    """Counts the functions that begin, and raises in those that the plan names."""

    def __init__(self, plan):
        self.plan = plan
        self.exempt, self.match = re.compile(plan["exempt"]), re.compile(plan["match"])
        self.dice = random.Random(f"{plan['seed']} {plan.get('target')}")
        self.raised, self.reached, self.places = {}, {}, {}
        self.calls = 0

    def start(self):
        """Watch from now on, and write down at the exit what happened."""
        events = sys.monitoring.events
        sys.monitoring.use_tool_id(TOOL, "faults")
        sys.monitoring.register_callback(TOOL, events.PY_START, self.begins)
        sys.monitoring.set_events(TOOL, events.PY_START)
        atexit.register(self.stop)

    def stop(self):
        sys.monitoring.set_events(TOOL, 0)
        with open(self.plan["told"], "w") as stream:
            json.dump({"reached": self.reached, "raised": self.raised}, stream)

    def begins(self, code, offset):
        """The callback: `sys.monitoring` lets what it raises pass into the function that begins."""
        file = self.place(code.co_filename)
        if not file or self.exempt.search(file) or not self.match.search(file):
            return sys.monitoring.DISABLE
        if code.co_name.startswith("<") or not self.counts(sys._getframe(1).f_back):
            return None
        name = f"{file}:{code.co_firstlineno} {code.co_qualname}"
        self.reached[name] = self.reached.get(name, 0) + 1
        if self.wanted(name):
            self.raised[name] = self.raised.get(name, 0) + 1
            kind = self.dice.choice(KINDS) if self.plan["kind"] == "any" else self.plan["kind"]
            raise getattr(builtins, kind)("injected fault in " + name)
        return None

    def place(self, file):
        """The file's path below the package, or "" for a file of somebody else."""
        found = self.places.get(file)
        if found is None:
            package = getattr(sys.modules.get("autoperf"), "__file__", None) or "/nowhere/yet"
            folder = os.path.dirname(package) + os.sep
            found = self.places[file] = file[len(folder) :] if file.startswith(folder) else ""
        return found

    def counts(self, above):
        """Whether a function called from the frame ``above`` does: not while a module of ours is imported.

        Nor what a look-alike's driver asks of us: a host knows nothing of autoperf.
        """
        if not self.plan["edge"] and (above is None or not self.place(above.f_code.co_filename)):
            return False
        while above is not None:
            file = above.f_code.co_filename
            if (above.f_code.co_name == "<module>" and self.place(file)) or file.endswith(DRIVER):
                return False
            above = above.f_back
        return True

    def wanted(self, name):
        self.calls += 1
        if self.plan.get("probability") is not None:
            return self.calls > self.plan["spare"] and self.dice.random() < self.plan["probability"]
        return name == self.plan.get("target") and self.raised.get(name, 0) < self.plan["most"]


own = str(os.getpid())
if os.environ.get("FAULTS_PLAN") and os.environ.setdefault("FAULTS_PID", own) == own:
    Injector(json.loads(os.environ["FAULTS_PLAN"])).start()
