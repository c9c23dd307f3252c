"""Prints the commands of the README's quick start, one a line: what CI runs is what a reader types."""

from __future__ import annotations

import re
import sys
from pathlib import Path

readme = Path(__file__).resolve().parent.parent / "README.md"
section = re.search(r"^## Quick start$(.*?)^## ", readme.read_text(encoding="utf-8"), re.M | re.S)
blocks = re.findall(r"^```\w*\n(.*?)^```$", section.group(1), re.M | re.S) if section else []
commands = [line for line in "".join(blocks).splitlines() if line.strip()]
if len(blocks) != 1 or len(commands) != 2:
    sys.exit(
        f"the quick start must be one code block of two commands; found {len(blocks)} and {len(commands)}"
    )
print("\n".join(commands))
