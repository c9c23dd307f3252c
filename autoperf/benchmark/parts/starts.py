"""Starts of one checkout, from the command to the open port, with bytecode already written."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from autoperf.benchmark.host import run as checkouts
from autoperf.benchmark.host.process import HostHungError, HostProcess
from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.measure.rounds import Variant
from autoperf.benchmark.measure.run import Setting, prefix
from autoperf.benchmark.measure.samples import PEAK, START_CPU, START_WALL, Sample
from autoperf.benchmark.model.server import ModelServer


class Starts:
    """A copy of the checkout that is started again and again; a context manager."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._folder: Path | None = None
        self._model = ModelServer()
        self._warm: set[str] = set()

    def __enter__(self) -> Starts:
        self._model.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.__exit__(kind, error, trace)

    def hold(self, variant: Variant) -> Sample:
        """One start; the first of a variant writes bytecode and is made twice. ``HostError`` if it fails."""
        if variant.name not in self._warm:
            self._started(variant)
            self._warm.add(variant.name)
        return self._started(variant)

    def _started(self, variant: Variant) -> Sample:
        hung = 0
        while True:
            process = self._process(variant)
            try:
                wall = process.wait_until_open(self._setting.start_timeout)
                values = {START_CPU: process.cpu_seconds(), START_WALL: wall, PEAK: process.peak_kib()}
                notes = [f"{hung} starts hung and were made again"] if hung else []
                return Sample(values, notes=notes)
            except HostHungError:
                hung += 1
                if hung == checkouts.STARTS:
                    raise
            finally:
                process.stop()

    def _process(self, variant: Variant) -> HostProcess:
        setting = self._setting
        setting.workdir.mkdir(parents=True, exist_ok=True)
        if self._folder is None:
            folder = setting.workdir / "agent-zero"
            checkouts.prepare(
                setting.checkout,
                folder,
                self._model.url,
                provider=setting.provider,
                repository=setting.repository,
                python=setting.python,
            )
            self._folder = folder
        words = [
            *prefix(setting, variant),
            checkouts.interpreter(setting.checkout, setting.python),
            "run_ui.py",
        ]
        environment = Sandbox(setting.workdir).environment({})
        return HostProcess(words, self._folder, environment, setting.workdir / "output.txt")
