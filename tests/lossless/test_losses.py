"""The next release has other code in a function that autoperf knows: what is lost by it is told."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from tests.hosts.generations import GENERATIONS

TESTS = Path(__file__).resolve().parents[1]
COMMENT = "# one line more, as a next release may have"
# The function that is known, and the feature whose patch relies on it.
KNOWN = {
    ("dirty_json", "parse"): "streaming",
    ("extract_tools", "_json_root_object_starts"): "streaming",
    ("yaml", "loads"): "settings",
    ("dotenv", "get_dotenv_value"): "settings",
    ("git", "get_repo_release_info"): "settings",
    ("git", "get_git_info"): "settings",
    ("tokens", "count_tokens"): "tokens",
}
PROGRAM = """
import json, sys
sys.path[:0] = [".", sys.argv[1], sys.argv[1] + "/hosts"]
from pathlib import Path
from generations import GENERATIONS
from introduction import introduce
from runtime_process import REPLIES, Conversation
introduce(Path(sys.argv[2]), GENERATIONS[sys.argv[3]].package)
import autoperf
runtime = autoperf.instrument(".")
Conversation(sys.argv[3]).say(REPLIES)
for module in sys.argv[4:]:
    __import__(module)
print("\\n" + json.dumps(autoperf.status()))
"""


def changed(path: Path, name: str) -> bool:
    """Put a comment into the function ``name`` of the file; False where there is none."""
    text = path.read_text("utf-8") if path.exists() else ""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = node.body[0]
            lines = text.splitlines()
            lines.insert(first.lineno - 1, " " * first.col_offset + COMMENT)
            path.write_text("\n".join(lines) + "\n", "utf-8")
            return True
    return False


def status(host: str, folder: Path, home: Path, modules: set[str]) -> tuple[dict[str, Any], str]:
    """What a process of the host in ``folder`` says of itself after a message, and its stderr."""
    command = [sys.executable, "-c", PROGRAM, str(TESTS), str(TESTS / "hosts" / host), host, *sorted(modules)]
    environ = {"PATH": "/usr/bin:/bin", "AUTOPERF_HOME": str(home), "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("host", ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"])
def test_each_known_function_that_was_changed_is_told(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, package = tmp_path / "next", GENERATIONS[host].package
    shutil.copytree(TESTS / "hosts" / host, folder)
    helpers = folder / package.replace(".", "/")
    others = {(file, name) for file, name in KNOWN if changed(helpers / f"{file}.py", name)}
    assert ("dirty_json", "parse") in others
    modules = {f"{package}.{file}" for file, _ in others}
    unchanged = tmp_path / "this"  # a message writes into the folder that the host runs in
    shutil.copytree(TESTS / "hosts" / host, unchanged)
    before, _ = status(host, unchanged, tmp_path / "before", modules)
    after, stderr = status(host, folder, tmp_path / "home", modules)

    applied = {row["target"] for row in before["patches"] if row["state"] == "applied"}
    lost = {loss["target"]: loss for loss in after["facts"]["patches"]["losses"]}
    for file, name in others:
        of_it = [target for target in applied if target.startswith(f"{package}.{file}:")]
        told = [lost[target] for target in of_it if target in lost]
        assert told, f"nothing is told of {file}:{name}; {of_it} are applied to what is known"
        assert {loss["state"] for loss in told} == {"unrecognised"}
        assert KNOWN[file, name] in {loss["feature"] for loss in told}
    assert set(lost) - {loss["target"] for loss in before["facts"]["patches"]["losses"]} <= applied

    features = {loss["feature"] for loss in lost.values()}
    states = after["facts"]["patches"]["features"]
    assert {name for name, state in states.items() if state in ("off", "partly off")} == features
    assert "autoperf doctor" in next(line for line in stderr.splitlines() if "patches" in line)

    capsys.readouterr()
    assert cli.main(["doctor", str(folder), "--home", str(tmp_path / "home")]) == 1
    out = capsys.readouterr().out
    assert all(target in out for target in lost)
    assert "all is well" not in out


def test_a_health_check_may_allow_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "next"
    shutil.copytree(TESTS / "hosts" / "v2", folder)
    assert changed(folder / "helpers" / "yaml.py", "loads")
    status("v2", folder, tmp_path / "home", {"helpers.yaml"})
    doctor = ["doctor", str(folder), "--home", str(tmp_path / "home")]
    told = cli.main(doctor), cli.main([*doctor, "--allow-losses"])
    assert told == (1, 0), capsys.readouterr().out
    assert "helpers.yaml:loads" in capsys.readouterr().out
