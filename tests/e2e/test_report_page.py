"""The report in a real browser: its own script runs, strangers' names do not, and nothing is asked for."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from autoperf import cli
from tests.trace_rows import NASTY, Trace, keep, turn

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")

# The policy of the page lets nobody into it but its own script: a page around it does what a person would.
DRIVER = """<!doctype html><iframe src="report.html"></iframe><pre></pre><script>
document.querySelector("iframe").onload = (event) => {
  const page = event.target.contentDocument;
  const [find, failed] = ["find", "failed"].map((id) => page.getElementById(id));
  const told = [];
  const note = () => told.push(
    [...page.querySelectorAll(".trace")].filter((one) => !one.hidden).length
    + (page.querySelector(".none").hidden ? "" : " none")
    + (page.querySelector(".beside").open ? " beside" : ""));
  const type = (words) => { find.value = words; find.dispatchEvent(new Event("input")); note(); };
  note();
  ["MEMORY_load ", "a0", "no such tool", "background", ""].forEach(type);
  failed.click();
  note();
  document.querySelector("pre").textContent = told.join(", ");
};
</script>"""


class Seen(NamedTuple):
    """The document after its scripts ran, what the browser said, and what it asked for."""

    dom: str
    said: str
    asked: list[str]


def seen(folder: Path, file: str, profile: Path) -> Seen:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, directory=str(folder), **options)  # type: ignore[misc]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        # Scripts that were run would have changed the page; a dialogue would have hung it.
        done = subprocess.run(
            [str(BROWSER), *options, "--enable-logging=stderr", "--dump-dom",
             f"http://127.0.0.1:{server.server_port}/{file}"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
    return Seen(done.stdout, done.stderr, asked)


def reported(folder: Path, *traces: Trace) -> Path:
    """A folder with the report of these traces."""
    folder.mkdir()
    home, target = str(keep(folder / "home", *traces)), str(folder / "report.html")
    assert cli.main(["report", "--home", home, "--html", target]) == 0
    return folder


def test_the_page_in_chromium(tmp_path: Path) -> None:
    nasty = Trace(2, at_ms=99_000)
    root = nasty.span("user_message", 0, 100)
    for name in NASTY:
        nasty.span(f"execute_tool {name}", 1, 50, root, attributes={name: name})
    found = seen(reported(tmp_path / "www", turn(1), nasty), "report.html", tmp_path / "profile")
    assert found.asked == ["/report.html"], "not even an icon"
    assert '<p class="filter">' in found.dom, "our script took the hidden attribute away"
    assert "CONSOLE" not in found.said, "no violation of the policy, no error"
    assert "<img" not in found.dom
    assert found.dom.count("<script") == 1


def test_the_filter_shows_what_was_asked_for(tmp_path: Path) -> None:
    later = Trace(3, at_ms=99_000)
    later.span("background memorize", 0, 5)
    # The second has four steps; the tool of the fourth fails.
    folder = reported(tmp_path / "www", turn(1, steps=2), turn(2, steps=4), later)
    (folder / "driver.html").write_text(DRIVER, encoding="utf-8")
    found = seen(folder, "driver.html", tmp_path / "profile")
    told = found.dom.partition("<pre>")[2].partition("</pre>")[0]
    assert told.split(", ") == [
        "3", "1 beside", "2 beside", "0 none beside", "1 beside", "3 beside", "1 beside"
    ]  # fmt: skip
