"""``autoperf run CMD...``: puts the bootstrap into the environment and becomes the command."""

from __future__ import annotations

# Only what every interpreter has loaded at start: each further import is paid at every launch.
import os
import sys

from autoperf.process import shadows
from autoperf.telemetry.store import launches

USAGE = "autoperf run [--features LIST] [--observe] [--detail LEVEL] [--home DIR] [--quiet] CMD..."
_OFF = ("", "0", "false", "no", "off")


class LaunchError(Exception):
    """The command line cannot be run; the text is for a person, ``code`` the exit code."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def run(arguments: list[str]) -> int:
    """Replace this process by the command; returns an exit code only when that is impossible.

    2: the line makes no sense, 127: no such command, 126: it cannot be executed.
    """
    try:
        settings, command = parsed(arguments)
        environ = dict(os.environ)
        pythonpath = shadows.with_instrument(environ.get("PYTHONPATH", ""))
        if environ.get("AUTOPERF_DISABLED", "").strip().lower() in _OFF:
            environ.update(settings)
            pythonpath = with_bootstrap(pythonpath, path_entry())
            _announce(command, environ)
            if os.name != "nt":  # there the command gets another pid
                environ["AUTOPERF_LAUNCH_PID"] = str(os.getpid())
                launches.leave(environ, command[0])
        if pythonpath:
            environ["PYTHONPATH"] = pythonpath
        try:
            return execute(command, environ)
        except LaunchError:
            launches.remove(environ)
            raise
    except LaunchError as refusal:
        _say(str(refusal))
        return refusal.code
    except KeyboardInterrupt:
        return 130


def _announce(command: list[str], environ: dict[str, str]) -> None:
    """Say before the command begins what will keep autoperf out of it, or what ends with this process."""
    if environ.get("AUTOPERF_QUIET", "").strip().lower() not in _OFF:
        return
    lines = (shadows.around(sys.orig_argv), shadows.shadow(command, environ.get("PATH", os.defpath)))
    for line in filter(None, lines):
        _say(line)


def _say(text: str) -> None:
    """One line, whatever a name in it holds; `errors.say` would cost its imports."""
    if sys.stderr is None:
        return
    from autoperf.errors.wording import printable  # only where there is something to say

    try:  # noqa: SIM105 - contextlib is not loaded this early
        # Not through sys.stderr: what a full disk refuses would fail again at exit, with another code.
        os.write(2, os.fsencode(f"autoperf: {printable(text)}\n"))
    except OSError:
        pass


def parsed(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split our options, as environment variables, from the command, whose own arguments stay untouched."""
    settings: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option, has_value, value = rest.pop(0).partition("=")
        if option == "--" and not has_value:
            break
        if option in ("--observe", "--quiet") and not has_value:
            name, value = ("AUTOPERF_FEATURES", "trace") if option == "--observe" else ("AUTOPERF_QUIET", "1")
        elif option in _WITH_VALUE:
            if not has_value and not rest:
                raise LaunchError(f"{option} needs a value: {USAGE}")
            name, value = _WITH_VALUE[option](value if has_value else rest.pop(0))
        else:
            raise LaunchError(f"no option {option}; options stand before the command: {USAGE}")
        if settings.get(name, value) != value:
            raise LaunchError(
                "--features and --observe contradict each other" if "FEAT" in name else f"{option} twice"
            )
        settings[name] = value
    if not rest or not rest[0]:
        raise LaunchError("no command; say for example: autoperf run python run_ui.py")
    return settings, rest


def _features(text: str) -> tuple[str, str]:
    from autoperf.features import parse_features

    try:
        parse_features(text)
    except ValueError as error:
        raise LaunchError(f"--features {text}: {error}") from None
    return "AUTOPERF_FEATURES", text


def _folder(text: str) -> tuple[str, str]:
    if not text:
        raise LaunchError("--home needs the name of a folder")
    return "AUTOPERF_HOME", os.path.abspath(os.path.expanduser(text))


def _detail(text: str) -> tuple[str, str]:
    if text not in ("turn", "step", "all"):
        raise LaunchError(f"--detail {text}: use turn, step or all")
    return "AUTOPERF_DETAIL", text


_WITH_VALUE = {"--features": _features, "--home": _folder, "--detail": _detail}


def template_folder() -> str:
    """The folder that holds our sitecustomize.py: inside the installed package, or beside it in a checkout.

    Raises `LaunchError` when the installation has lost it.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for parent in (package, os.path.dirname(package)):
        folder = os.path.join(parent, "sitecustomize_template")
        if os.path.isfile(os.path.join(folder, "sitecustomize.py")):
            return folder
    raise LaunchError(f"this installation is incomplete: no sitecustomize_template in {package}")


def path_entry() -> str:
    """`template_folder` for PYTHONPATH; `LaunchError` when the separator in its name would cut it in two."""
    folder = template_folder()
    if os.pathsep in folder:
        raise LaunchError(
            f"PYTHONPATH cannot hold {folder}: move autoperf to a folder without {os.pathsep!r} in its name,"
            " or use `autoperf install --python PATH`"
        )
    return folder


def with_bootstrap(pythonpath: str, folder: str) -> str:
    """``pythonpath`` with ``folder`` first and once; the others, empty ones too, stay byte for byte."""
    if not pythonpath:
        return folder
    entries = pythonpath.split(os.pathsep)
    return os.pathsep.join([folder, *(entry for entry in entries if entry != folder)])


def execute(command: list[str], environ: dict[str, str]) -> int:
    """Become ``command``, found on PATH as a shell would; on Windows wait for it and return its code."""
    try:
        if os.name == "nt":
            import subprocess

            return subprocess.call(command, env=environ)
        _restore_signals()
        os.execvpe(command[0], command, environ)
    except OSError as error:
        raise _refusal(command, error) from None
    except ValueError as error:
        raise LaunchError(f"{command[0]!r}: {error}", 126) from None


def _restore_signals() -> None:
    """Python ignores these two at start, and an ignored signal would be inherited by the command."""
    # The module `signal` would load enum and more, a fifth of our time.
    from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]

    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)


def _refusal(command: list[str], error: OSError) -> LaunchError:
    name = command[0]
    is_file = os.path.isfile(name)
    hint = ""
    if is_file and (name.endswith(".py") or not os.path.splitext(name)[1]):
        hint = f"; did you mean `autoperf run {python_name()} {' '.join(command)}`?"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        if name == "python" and python_name() != "python":
            hint = f"; did you mean `autoperf run {python_name()} {' '.join(command[1:])}`?"
        if os.sep in name and is_file:
            return LaunchError(f"{name}: the interpreter named in its first line is missing{hint}", 126)
        return LaunchError(f"{name}: command not found{hint}", 127)
    if os.path.isdir(name):
        return LaunchError(f"{name}: is a folder, not a command", 126)
    reason = (
        "not executable" if isinstance(error, PermissionError) else (error.strerror or str(error)).lower()
    )
    return LaunchError(f"{name}: {reason}{hint}", 126)


def python_name() -> str:
    """What Python is called on this PATH: ``python``, else ``python3``, else this interpreter's own path."""
    for name in ("python", "python3"):
        for folder in os.get_exec_path():
            if os.access(os.path.join(folder, name), os.X_OK):
                return name
    return sys.executable
