"""The compose file of the examples: what it must say for autoperf to reach the agent and its spans Jaeger."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest

from autoperf.process.installation.bundle import REQUIRED
from autoperf.process.options import OPTIONS

REPOSITORY = Path(__file__).resolve().parents[3]
COMPOSE = REPOSITORY / "examples" / "docker" / "compose.yaml"
TEXT = COMPOSE.read_text(encoding="utf-8")


def one(pattern: str) -> str:
    """The group of the only match."""
    (found,) = re.findall(pattern, TEXT, re.M)
    return str(found)


def test_the_bootstrap_is_made_by_the_agents_python_and_mounted_where_pythonpath_says() -> None:
    assert one(r"image: python:(\S+)") == "3.12-slim"
    folder = one(r"PYTHONPATH: (\S+)")
    assert one(r"autoperf bootstrap --copy (\S+)") == folder
    assert re.findall(r"- bootstrap:(\S+)", TEXT) == [folder, f"{folder}:ro"]
    source = one(r"- (\S+):/src:ro")
    assert (COMPOSE.parent / source / "pyproject.toml").is_file()


def test_the_store_lies_on_a_volume_that_a_self_update_leaves_alone() -> None:
    home = PurePosixPath(one(r"AUTOPERF_HOME: (\S+)"))
    assert one(r"- traces:(\S+)") == str(home)
    assert PurePosixPath("/a0") not in home.parents


def test_spans_go_where_a_copied_bootstrap_can_send_them() -> None:
    endpoint = urlsplit(one(r"OTEL_EXPORTER_OTLP_ENDPOINT: (\S+)"))
    assert (endpoint.scheme, endpoint.hostname, endpoint.port) == ("http", "jaeger", 4318)
    assert not any("grpc" in name for name in REQUIRED)
    assert one(r"image: jaegertracing/jaeger:\$\{JAEGER_VERSION:-(\d+)\.") == "2"


def test_only_this_machine_is_served_and_every_option_exists() -> None:
    ports = re.findall(r"^ +- (\S*\d+:\d+)$", TEXT, re.M)
    assert sorted(ports) == ["127.0.0.1:16686:16686", "127.0.0.1:50080:80"]
    known = {option.variable for option in OPTIONS} | {"AUTOPERF_DISABLED"}
    assert set(re.findall(r"AUTOPERF_\w+", TEXT)) <= known


def compose() -> dict[str, Any] | None:
    """The file as `docker compose` understands it; None where there is no such command."""
    if shutil.which("docker") is None:
        return None
    docker = ["docker", "compose"]
    if subprocess.run([*docker, "version"], capture_output=True, check=False).returncode:
        return None
    done = subprocess.run(
        [*docker, "-f", str(COMPOSE), "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_docker_compose_reads_it_as_it_is_meant() -> None:
    told = compose()
    if told is None:
        pytest.skip("there is no `docker compose` here")
    agent = told["services"]["agent-zero"]
    assert {name: need["condition"] for name, need in agent["depends_on"].items()} == {
        "autoperf": "service_completed_successfully",
        "jaeger": "service_started",
    }
    mounts = {mount["source"]: mount for mount in agent["volumes"]}
    assert mounts["bootstrap"]["target"] == agent["environment"]["PYTHONPATH"]
    assert mounts["bootstrap"]["read_only"] is True
    assert mounts["traces"]["target"] == agent["environment"]["AUTOPERF_HOME"]
    (source,) = (mount for mount in told["services"]["autoperf"]["volumes"] if mount["target"] == "/src")
    assert Path(source["source"]).resolve() == REPOSITORY
    assert set(told["volumes"]) == set(mounts)
    assert "command" not in agent or agent["command"] is None
    assert "entrypoint" not in agent or agent["entrypoint"] is None
