"""Recognition: by what the source defines, newest first, seam by seam; nothing is imported."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from autoperf.instrumentation import agentzero
from autoperf.instrumentation.agentzero import detect, explain, survey
from autoperf.instrumentation.agentzero.layout import Source
from autoperf.instrumentation.agentzero.layouts import LAYOUTS

TESTS = Path(__file__).resolve().parents[2]
AGENT = TESTS.parent / "examples" / "mini_agent"
EXPECTED = {"v0_8": "v0_8", "v0_9_3": "v0_9_3", "v0_9_8": "v0_9_3", "v0_9_9": "v0_9_9", "v2": "v0_9_9"}


def lacking(root: Path) -> set[str]:
    layout = detect(root)
    assert layout is not None
    return {seam.target for seam in survey(root, layout) if not seam.present}


@pytest.mark.parametrize("host", EXPECTED)
def test_each_look_alike_is_its_generation_with_every_seam(host):
    root = TESTS / "hosts" / host
    before = set(sys.modules)
    layout = detect(root)
    assert layout is not None
    assert layout.name == EXPECTED[host]
    assert lacking(root) <= set(layout.optional)
    assert any(line == f"is {layout.generation}" for line in explain(root))
    assert {
        name for name in set(sys.modules) - before if name.split(".")[0] in ("agent", "helpers", "python")
    } == set()


def test_the_mini_agent_is_of_the_newest_kind():
    layout = detect(AGENT)
    assert layout is LAYOUTS[0]
    assert lacking(AGENT) <= set(layout.optional)


def test_every_target_is_a_module_and_a_name():
    for layout in LAYOUTS:
        targets = list(layout.targets())
        assert len(targets) == len(set(targets)) >= 9
        for target in targets:
            module, colon, name = target.partition(":")
            assert all(part.isidentifier() for part in [*module.split("."), *name.split(".")]), target
            assert colon


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """A copy of a look-alike, to be changed."""
    shutil.copytree(TESTS / "hosts" / "v2", tmp_path / "fork", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "fork"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_fork_without_one_seam_is_still_known(fork):
    edit(fork / "helpers" / "mcp_handler.py", "def has_tool", "def knows_tool")
    (seam,) = [s for s in survey(fork, detect(fork)) if not s.present]
    assert seam.target == "helpers.mcp_handler:MCPClientBase.has_tool"
    assert seam.reason == "helpers.mcp_handler does not define MCPClientBase.has_tool"


def test_a_fork_without_a_module_is_told_so(fork):
    (fork / "helpers" / "errors.py").unlink()
    (seam,) = [s for s in survey(fork, detect(fork)) if not s.present]
    assert seam.reason == "there is no module helpers.errors"


def test_a_fork_that_lacks_a_mark_is_left_alone_and_told_which(fork):
    edit(fork / "helpers" / "extension.py", "def extensible", "def extendable")
    assert detect(fork) is None
    assert any("no helpers.extension:extensible" in line for line in explain(fork))


def test_definitions_in_conditions_and_by_import_count(tmp_path):
    (tmp_path / "agent.py").write_text(
        "import sys\nfrom x import monologue as told\n"
        "if sys.version_info > (3,):\n    class Agent:\n        def monologue(self): ...\n"
        "else:\n    class Agent:\n        def other(self): ...\n"
        "try:\n    import a.b\nexcept ImportError:\n    def fallback(): ...\n"
    )
    source = Source(tmp_path)
    for name in ("Agent.monologue", "Agent.other", "told", "a", "fallback", "sys"):
        assert source.defines(f"agent:{name}"), name
    for name in ("monologue", "Agent", "b")[::2]:
        assert not source.defines(f"agent:{name}"), name
    assert not source.defines("nowhere:x")


@pytest.mark.parametrize(
    "text",
    [
        "class Agent:\n    def monologue(self): ...\n",
        "print('a script that happens to be called agent.py')\n",
        "class Agent:\n    async def monologue(self): ...\n    def call_extensions(self, folder): ...\n",
        "",
        "class (:\n",
        "\0",
        "x = " + "(" * 500 + ")" * 500,
        "-" * 100_000 + "1",
    ],
    ids=["agent", "script", "half", "empty", "broken", "null", "parentheses", "deep"],
)
def test_a_foreign_project_with_an_agent_is_left_alone(tmp_path, text):
    (tmp_path / "agent.py").write_text(text)
    (tmp_path / "helpers").mkdir()
    assert detect(tmp_path) is None
    assert len(explain(tmp_path)) >= len(LAYOUTS)


def test_folders_that_are_not_there_or_are_files(tmp_path):
    (tmp_path / "agent.py").mkdir()
    (tmp_path / "file").write_text("")
    for root in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        assert detect(root) is None


def test_a_syntax_newer_than_this_python_is_named(fork):
    # `type X = int` and `def f[T]` (PEP 695) for an older Python; what no Python reads stands for it here.
    newer = "type Names = list[str]\n" if sys.version_info < (3, 12) else "typo Names = list[str]\n"
    path = fork / "agent.py"
    path.write_text("\n" + newer + path.read_text())
    assert detect(fork) is None
    first = explain(fork)[0]
    assert first.startswith("agent.py cannot be read by this Python, line 2: ")
    assert all("unreadable" not in line for line in explain(fork)[1:])


def test_an_unreadable_module_is_the_reason_of_its_seams(fork):
    path = fork / "helpers" / "mcp_handler.py"
    path.write_text("def f(:\n" + path.read_text())
    reasons = {s.reason for s in survey(fork, detect(fork)) if not s.present}
    assert len(reasons) == 1
    assert reasons.pop().startswith("helpers.mcp_handler cannot be read by this Python: line 1")
    assert agentzero.detect(fork) is not None


@pytest.mark.parametrize(
    "host", sorted(path.name for path in (TESTS / "hosts").iterdir() if path.name.startswith("v"))
)
def test_the_text_of_a_module_tells_what_parsing_it_tells(host):
    root = TESTS / "hosts" / host
    layout = detect(root)
    assert layout is not None
    source = Source(root)
    targets = list(layout.targets())
    expected = {target for target in targets if source.defines(target)}
    assert {target for target in targets if source.shows(target)} == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def wanted(): ...", True),
        ("async def wanted (a): ...", True),
        ("class wanted: ...", True),
        ("class A:\n    def wanted(self): ...", False),
        ("if True:\n    def wanted(): ...", True),
        ("try:\n    from a import wanted\nexcept ImportError: ...", True),
        ("from a import b, wanted", True),
        ("from a import (\n    b,\n    c as wanted,\n)", True),
        ("import wanted", True),
        ("def wanted_more(): ...\nx = 'wanted'\ny = wanted", False),
        ("from a import unwanted\nwanted()", False),
        ("", False),
    ],
)
def test_a_definition_is_found_in_the_text(text, found, tmp_path):
    (tmp_path / "agent.py").write_text(text)
    assert Source(tmp_path).shows("agent:wanted") is found
    assert not Source(tmp_path).shows("elsewhere:wanted")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class A:\n    def wanted(self): ...", True),
        ('class A(B):\n    """Text.\n\n@ sign\n    """\n    async def wanted(self): ...', True),
        ("class A:\n    x = 1\nclass B:\n    def wanted(self): ...", False),
        ("class A:\n\tdef wanted(self): ...", True),
        ("class A:\n    def f(self):\n        def wanted(): ...", False),
        ("class A:\n    from b import wanted", True),
        ("def wanted(): ...\nclass A: ...", False),
    ],
)
def test_a_method_is_found_in_the_text(text, found, tmp_path):
    (tmp_path / "agent.py").write_text(text)
    source = Source(tmp_path)
    assert source.shows("agent:A.wanted") is source.defines("agent:A.wanted") is found
