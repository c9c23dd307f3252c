"""Whether a module of a package beside the host is, byte for byte, the one of a release that is known."""

from __future__ import annotations

import os
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

_SUFFIX: Final = ".dist-info"


class Releases:
    """Looks modules up in the list of files that their package was installed with.

    ``known`` are the releases of each top-level package. A module that was changed after it was installed, or
    whose package says nothing of its files, is none of a release.
    """

    def __init__(self, known: Mapping[str, frozenset[str]]) -> None:
        self._known = known
        self._lists: dict[str, bytes] = {}
        self._answers: dict[str, bool] = {}
        self.others: set[str] = set()  # packages of which a module was none of those

    def hold(self, module: str) -> bool:
        """Whether ``module``, imported or being so, belongs to a known release; cheap from then on."""
        package = module.partition(".")[0]
        if package not in self._known:
            return False
        if module not in self._answers:
            try:
                self._answers[module] = self._listed(package, module)
            except OSError:
                self._answers[module] = False
            if not self._answers[module]:
                self.others.add(package)
        return self._answers[module]

    def _listed(self, package: str, module: str) -> bool:
        file = getattr(sys.modules.get(module), "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            return False
        inner = module.split(".")
        parts = (
            [*inner, "__init__.py"]
            if os.path.basename(file) == "__init__.py"
            else [*inner[:-1], inner[-1] + ".py"]
        )
        site = file[: -len(os.sep.join(parts))]
        if os.path.join(site, *parts) != file:
            return False
        with open(file, "rb") as stream:
            hashed = urlsafe_b64encode(sha256(stream.read()).digest()).rstrip(b"=")
        row = b"%s,sha256=%s," % ("/".join(parts).encode(), hashed)
        files = self._list(site, package)
        return files.startswith(row) or b"\n" + row in files

    def _list(self, site: str, package: str) -> bytes:
        place = os.path.join(site, package)
        if place not in self._lists:
            found = b""
            for release in self._known[package]:
                record = os.path.join(site, f"{package}-{release}{_SUFFIX}", "RECORD")
                if os.path.isfile(record):
                    with open(record, "rb") as stream:
                        found = stream.read()
            self._lists[place] = found
        return self._lists[place]
