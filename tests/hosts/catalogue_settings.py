"""What lies beneath the settings: YAML, git's version, the environment, token counts; edited in mid-run."""

from collections.abc import Iterator

from generations import Generation
from scenario import Scenario, call, simple

# The look-alikes that have all of it, and the function that asks git there.
GIT = {"v0_9_8": "git.get_git_info()", "v2": "git.get_repo_release_info(files.get_base_dir())"}
_GIT_BODY = """\
import os, subprocess, time
time.sleep(0 if do else 0.07)  # a repository that has just changed is looked at anew
for words in filter(None, do.split(";")):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words.split()],
                   cwd=files.get_base_dir(), env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"} | DATES, check=True)
try:
    found = ASK
    said = str(found).replace(" ", "")
    vars(found).clear() if hasattr(found, "__dict__") else found.clear()
except Exception as error:
    said = type(error).__name__
return say(said)
"""
_DATES = 'DATES = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}\n'


def scenarios(gen: Generation) -> list[Scenario]:
    return [*git(gen), *texts(gen), *yaml(gen)] if gen.name in GIT else []


def git(gen: Generation) -> Iterator[Scenario]:
    name = "settings_git"
    body = "do = kwargs['do'] if kwargs['do'] != '-' else ''\n" + _GIT_BODY.replace("ASK", GIT[gen.name])
    head = f"from {gen.package} import files, git\n{_DATES}"
    steps = [
        "-", "init -q -b main;add run_ui.py;commit -q -m one;tag v1", "-", "-", "tag -f v2", "-",
        "commit -q --allow-empty -m two", "-", "-", "checkout -q -b side", "-", "pack-refs --all", "-", "-",
        "tag -d v1 v2", "-", "checkout -q --detach", "-",
    ]  # fmt: skip
    yield simple(
        name, [call(name, do=step, step=str(n)) for n, step in enumerate(steps)],
        {gen.tool_path(name): gen.tool(body, head=head)},
    )  # fmt: skip


def texts(gen: Generation) -> Iterator[Scenario]:
    name = "settings_texts"
    body = (
        "import os\nos.environ['A_NAME'] = kwargs['text']\n"
        "values = [dotenv.get_dotenv_value('A_NAME'), dotenv.get_dotenv_value('NO_NAME', 3)]\n"
        "counts = [tokens.count_tokens(kwargs['text']), tokens.approximate_tokens(kwargs['text'] * 90)]\n"
        "return say([values, counts])"
    )
    head = f"from {gen.package} import dotenv, tokens\n"
    said = ["one two", "one two", "", "one", "a\nb\n" * 300, "one two"]
    yield simple(
        name,
        [call(name, text=text, step=str(n)) for n, text in enumerate(said)],
        {gen.tool_path(name): gen.tool(body, head=head)},
    )


def yaml(gen: Generation) -> Iterator[Scenario]:
    if not gen.extensible:
        return
    name, path = "settings_yaml", "usr/settings_yaml.yaml"
    body = (
        "try:\n    with open(files.get_abs_path(PATH)) as file:\n        found = yaml.loads(file.read())\n"
        "    said = str(found)\n    found['list'].append('mine')\n"
        "except OSError as error:\n    said = type(error).__name__\nreturn say(said)"
    ).replace("PATH", repr(path))
    first, second = 'list: [1, {"a": 2}]\nname: "one"\n', 'list: [1, {"a": 3}]\nname: "two"\n'
    yield simple(
        name,
        [call(name, step=str(n)) for n in range(9)],
        {gen.tool_path(name): gen.tool(body, head=f"from {gen.package} import files, yaml\n"), path: first},
        reply_3=[("write", path, second)],
        reply_5=[("write", path, "list: [1,\n")],
        reply_7=[("delete", path)],
        reply_8=[("write", path, first)],
    )
