"""A report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from autoperf.insight.report.html import charts
from autoperf.insight.report.html.markup import element, text
from autoperf.insight.report.html.sections import caches, changes, facts, layers, others, timings
from autoperf.insight.report.html.waterfalls import messages
from autoperf.insight.report.report import Report

__all__ = ["page"]


def page(report: Report) -> Iterator[str]:
    """The page in pieces; every piece is whole markup, and no name of a stranger is any.

    The content security policy allows this page's own style and script, by their hashes, and nothing else:
    no request, no form, no inline handler, even if an escape were missing.
    """
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n<title>autoperf: where the time went</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n<main>\n"
    )
    yield _header(report)
    yield from (facts(report), layers(report), changes(report), charts.process(report))
    yield from messages(report)
    yield from (
        timings(report),
        charts.distributions(report),
        caches(report),
        others(report),
        _footer(report),
    )
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _header(report: Report) -> str:
    first = min(trace.summary.start_ns for trace in report.traces) / 1e9
    last = max(trace.summary.end_ns for trace in report.traces) / 1e9
    hosts = {process.version for process in report.processes} - {""}
    words = [
        f"{_moment(first)} to {_moment(last)}",
        *(f"Agent Zero {host}" for host in sorted(hosts)),
        f"autoperf {report.version}",
    ]
    return (
        "<header><h1>Where the time went</h1>"
        + element("p", " · ".join(map(text, words)), kind="sub")
        + "</header>\n"
    )


def _footer(report: Report) -> str:
    left_out = "".join(element("li", text(sentence)) for sentence in report.left_out)
    processes = "".join(element("li", text(line)) for line in report.process_lines)
    return (
        "<footer>"
        + (f"<p>Recorded by:</p><ul>{processes}</ul>" if processes else "")
        + (f"<p>Left out of this page:</p><ul>{left_out}</ul>" if left_out else "")
        + f"<p>Made {text(_moment(report.made_at))} from the local store {text(report.source)} by "
        "<code>autoperf report --html</code>. Every number was measured; percentiles are by nearest rank. "
        "This page loads nothing from anywhere.</p></footer>\n"
    )


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@cache
def _file(name: str) -> str:
    return (Path(__file__).with_name(name)).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
