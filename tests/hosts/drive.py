"""Drive one look-alike through its scenarios: python drive.py HOST_DIR OUT.json [SCENARIO...]; ``--list`` names them.

The host is copied to a temporary folder and imported from there under its real module names, in this very process
and not before that: import hooks a sitecustomize has installed see it as they would see a checkout.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def drive(host_dir: Path, names: list[str]) -> dict:
    """Transcripts by scenario name, in order; the host's and this folder's path are normalised."""
    from catalogue import scenarios
    from generations import GENERATIONS
    from introduction import introduce
    from player import Host, play

    root = Path(tempfile.mkdtemp(prefix="host-")).resolve()
    try:
        shutil.copytree(
            host_dir, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tmp")
        )
        os.chdir(root)
        sys.path[0] = str(root)
        sys.dont_write_bytecode = False  # bytecode files decide whether some edits are seen
        gen = GENERATIONS[host_dir.name]
        if "AUTOPERF_HOME" in os.environ:
            introduce(root, gen.package)
        known = {scenario.name: scenario for scenario in scenarios(gen)}
        host = Host(gen)
        told = {name: play(host, known[name]) for name in names or known}
        text = json.dumps(told).replace(str(root), "<root>").replace(str(HERE), "<driver>")
        return json.loads(text)
    finally:
        os.chdir(HERE)
        shutil.rmtree(root, ignore_errors=True)


def main(argv: list[str]) -> int:
    if len(argv) == 2 and argv[1] == "--list":
        from catalogue import scenarios
        from generations import GENERATIONS

        for gen in GENERATIONS.values():
            print(gen.name, *(scenario.name for scenario in scenarios(gen)))
        return 0
    if len(argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    told = drive(Path(argv[1]).resolve(), argv[3:])
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in told.items())
    Path(argv[2]).write_text("{\n" + lines + "\n}\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    out = str(Path(sys.argv[2]).resolve()) if len(sys.argv) > 2 else ""
    sys.exit(main([*sys.argv[:2], out, *sys.argv[3:]] if out else sys.argv))
