"""Drive one look-alike through a conversation: python optimizer_process.py HOST_DIR SPEC.json OUT.json.

SPEC: ``files`` (path to text, there before the host is imported), ``messages``, ``replies`` of its model
to all of them, ``events`` and ``written`` files of a scenario. OUT: transcript, ``status`` (None in a bare
host).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

HOSTS = Path(__file__).resolve().parent / "hosts"


def main(host_dir: Path, spec: dict, out: Path) -> None:
    sys.path.insert(0, str(HOSTS))
    from generations import GENERATIONS
    from player import Host, play
    from scenario import Chat, Scenario

    root = Path(tempfile.mkdtemp(prefix="host-")).resolve()
    shutil.copytree(host_dir, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    for path, text in spec.get("files", {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    os.chdir(root)
    sys.path.insert(0, str(root))
    host = Host(GENERATIONS[host_dir.name])
    chat = Chat(spec["replies"], messages=tuple(spec.get("messages", ("go",))), chunk=spec.get("chunk", 400))
    scenario = Scenario("optimizer", [chat], spec.get("written", {}), {
        key: [tuple(action) for action in actions] for key, actions in spec.get("events", {}).items()
    })  # fmt: skip
    told = play(host, scenario)
    status = None
    if "autoperf.process.runtime" in sys.modules:
        import autoperf

        status = autoperf.status()
        autoperf.uninstrument()
    text = json.dumps({"transcript": told, "status": status}, default=str)
    out.write_text(text.replace(str(root), "<root>"))
    os.chdir(HOSTS)
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]).resolve())
