"""Words for a stretch of time, a version or a run, as `autoperf compare` and `history` take them."""

from __future__ import annotations

import argparse
import contextlib
import re
import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from autoperf.cli.arguments import moment, seconds, whole
from autoperf.errors.wording import printable
from autoperf.features import parse_features
from autoperf.insight.compare.collect import Selection
from autoperf.insight.compare.periods import Period

# A comma parts conditions; those inside a list of features do not.
_PARTED: Final = re.compile(r",(?=(?:pid|version|autoperf|features):|today|yesterday|\d|\.\.)")
_HELP: Final = "write today, yesterday, 3d (the last three days), 2026-01-31, FROM..TO, pid:N or version:V"
EXPLAINED: Final = """\
A period is one or several of these, with commas between:
  today, yesterday          a day, from midnight to midnight here
  2h, 3d                    from so long ago until now
  2026-01-31                that day
  FROM..TO                  moments as 3d, 2026-01-31 or 2026-01-31T08:00; either may be left out
  pid:N                     the run of that process
  version:v1.7              that version of Agent Zero, as `autoperf history --by version` shows it
  autoperf:0.1.0            recorded by that version of autoperf
  features:trace            recorded with exactly these features on (as AUTOPERF_FEATURES reads a list)
"""


def selection(text: str) -> Selection:
    """What ``text`` selects; an ``ArgumentTypeError`` says what can be written."""
    chosen = Selection(printable(text))
    for word in _PARTED.split(text.strip()):
        chosen = _narrowed(chosen, word.strip())
    if chosen.since >= chosen.until:
        raise argparse.ArgumentTypeError(f"{text!a} ends before it begins")
    return chosen


def _narrowed(chosen: Selection, word: str) -> Selection:
    key, colon, value = word.partition(":")
    if colon and key in ("pid", "version", "autoperf", "features"):
        if not value:
            raise argparse.ArgumentTypeError(f"{word!a} names nothing: {_HELP}")
        if key == "pid":
            return replace(chosen, pid=whole(value))
        if key == "features":
            try:
                return replace(chosen, features=parse_features(value))
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None
        return replace(chosen, version=value) if key == "version" else replace(chosen, autoperf=value)
    since, until = _between(word)
    return replace(chosen, since=max(chosen.since, since), until=min(chosen.until, until))


def _between(word: str) -> tuple[float, float]:
    begin, dots, end = word.partition("..")
    if dots:
        return (_moment(begin) if begin else 0.0, _moment(end, ending=True) if end else float("inf"))
    day = _day(word)
    if day is not None:
        return _midnight(day), _midnight(day + timedelta(days=1))
    with contextlib.suppress(argparse.ArgumentTypeError):
        return time.time() - seconds(word), float("inf")
    raise argparse.ArgumentTypeError(f"{word!a} is no period: {_HELP}")


def _moment(word: str, *, ending: bool = False) -> float:
    day = _day(word.strip())
    if day is not None:  # a day that ends a period belongs to it
        return _midnight(day + timedelta(days=1) if ending else day)
    try:
        return moment(word)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{word!a} is no moment: {_HELP}") from None


def _day(word: str) -> date | None:
    today = datetime.now().date()
    if word == "today":
        return today
    if word == "yesterday":
        return today - timedelta(days=1)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", word, re.ASCII):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(word)
    return None


def _midnight(day: date) -> float:
    # Of local time: a day is as long as the clocks here make it.
    return datetime(day.year, day.month, day.day).timestamp()


def begun(one: Period) -> str:
    """When the first thing of a period was measured, for a person."""
    return "-" if one.first is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(one.first))
