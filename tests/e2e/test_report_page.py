"""The report in a real browser: its own script runs, strangers' names do not, and nothing is asked for."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from autoperf import cli
from tests.trace_rows import NASTY, Trace, keep, turn

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")


def test_the_page_in_chromium(tmp_path: Path) -> None:
    nasty = Trace(2, at_ms=99_000)
    root = nasty.span("user_message", 0, 100)
    for name in NASTY:
        nasty.span(f"execute_tool {name}", 1, 50, root, attributes={name: name})
    target = tmp_path / "www" / "report.html"
    target.parent.mkdir()
    assert cli.main(["report", "--home", str(keep(tmp_path, turn(1), nasty)), "--html", str(target)]) == 0
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, directory=str(target.parent), **options)  # type: ignore[misc]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        # Scripts that were run would have changed the page; a dialogue would have hung it.
        done = subprocess.run(
            [str(BROWSER), *options, "--enable-logging=stderr", "--dump-dom",
             f"http://127.0.0.1:{server.server_port}/report.html"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
    assert asked == ["/report.html"], "not even an icon"
    assert '<p class="filter">' in done.stdout, "our script took the hidden attribute away"
    assert "CONSOLE" not in done.stderr, "no violation of the policy, no error"
    assert "<img" not in done.stdout
    assert done.stdout.count("<script") == 1
