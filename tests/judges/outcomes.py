"""One run of a host's command, bare or under autoperf with a plan for the injector, and what it came to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INJECTOR = Path(__file__).resolve().parent / "injector"
INJECTED = "injected fault in"


@dataclass
class Outcome:
    """What one run came to; ``failures`` are the rows that ``autoperf status --json`` has of it."""

    code: int | str
    transcript: str | None
    stderr: str
    reached: dict[str, int] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)
    failures: list[dict[str, Any]] | None = None

    def differs_from(self, bare: Outcome) -> str:
        """Why this is not the bare run's outcome; "" where it is."""
        if self.code != bare.code:
            return f"exit code {self.code}, bare {bare.code}"
        if self.transcript is None and bare.transcript is not None:
            return "no transcript"
        if self.transcript == bare.transcript:
            return ""
        ours, was = self.transcript or "", bare.transcript or ""
        pairs = zip(ours, was, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(was)))
        part = slice(max(0, same - 40), same + 40)
        return f"another transcript: {ours[part]!r}, bare {was[part]!r}"

    def miscounted(self) -> str:
        """Why ``status`` does not name each fault and count it once; "" where it does."""
        if self.failures is None:
            return "status has no record of the run"
        for name, times in self.raised.items():
            counted = sum(
                row["count"] for row in self.failures if f"{INJECTED} {name}" in _unquoted(row["reason"])
            )
            if counted != times:
                return f"raised {times} times, counted {counted} times"
        return ""

    def last_words(self) -> str:
        """The line of stderr that tells most of the fault."""
        lines = [line for line in self.stderr.splitlines() if INJECTED in line]
        return lines[-1].strip()[:160] if lines else ""


def _unquoted(reason: str) -> str:
    # The text of a KeyError is the repr of its argument.
    return reason.replace("\\'", "'")


@dataclass
class Host:
    """Runs ``command``; ``{out}`` in it stands for the file where the host writes its transcript.

    ``prefix`` goes before it to have autoperf in it, ``settings`` is the same in the injector's every plan.
    """

    command: list[str]
    prefix: str
    settings: dict[str, Any]
    timeout: float
    folder: Path
    told: bool = True  # ask `status` what it knows

    def run(self, number: int | str, plan: dict[str, Any] | None) -> Outcome:
        """Run it once; without a plan bare. Nothing of it stays on disk."""
        home, seen = self.folder / f"{number}.home", self.folder / f"{number}.seen"
        out = self.folder / f"{number}.out"
        command = [word.replace("{out}", str(out)) for word in self.command]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AUTOPERF_")}
        if plan is not None:
            command = [*self.prefix.replace("{python}", command[0]).split(), *command]
            environment |= self._injecting({**self.settings, "told": str(seen), **plan}, home)
        outcome = self._executed(command, environment, out)
        if plan is not None:
            found = _loaded(seen) or {}
            outcome.reached, outcome.raised = found.get("reached", {}), found.get("raised", {})
            if self.told and outcome.raised:
                outcome.failures = _failures(home)
        for left in (out, seen):
            left.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        return outcome

    def _injecting(self, plan: dict[str, Any], home: Path) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(INJECTOR), os.environ.get("PYTHONPATH")]))
        told = {
            "AUTOPERF_HOME": str(home),
            "AUTOPERF_DEBUG": "1",
        }  # to have the texts of failures in `status`
        return {**told, "PYTHONPATH": path, "FAULTS_PLAN": json.dumps(plan)}

    def _executed(self, command: list[str], environment: dict[str, str], out: Path) -> Outcome:
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout,
            )
        except subprocess.TimeoutExpired as late:
            words = late.stderr or b""
            return Outcome(
                "hangs", None, words.decode(errors="replace") if isinstance(words, bytes) else words
            )
        if any("{out}" in word for word in self.command):
            written = out.read_text(errors="replace") if out.exists() else None
            return Outcome(done.returncode, written, done.stderr)
        return Outcome(done.returncode, done.stdout, done.stderr)


def _loaded(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _failures(home: Path) -> list[dict[str, Any]] | None:
    """What ``autoperf status --json`` tells of the last process in the store; None without a record."""
    words = [sys.executable, "-m", "autoperf", "status", "--json", "--home", str(home)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    record = json.loads(done.stdout) if done.returncode == 0 else None
    return None if record is None else list(record["failures"])
