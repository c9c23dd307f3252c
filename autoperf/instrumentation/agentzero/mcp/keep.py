"""MCP sessions that outlast a call (`mcp-keep`), and MCP servers started before it (`mcp-standby`)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.errors.fence import inside
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.mcp.schemas import VALIDATE, checking
from autoperf.patching.patch import Bound, Switch, Together, UnneededError

if TYPE_CHECKING:  # what is behind it is imported only where it is asked for
    from autoperf.instrumentation.agentzero.mcp.pool import Sessions

Build = Callable[[Any, Switch], Any]
_SEAM: Final = "mcp sessions"
_SESSION: Final = "_execute_with_session"
_KEPT: Final = "mcp-keep is on: its sessions are open already"
_TRANSPORT: Final = "_create_stdio_transport"
_MARK: Final = "__autoperf_mcp__"
_PROJECTS_KNOWN: Final = 100


def keep(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """The rows of ``mcp-keep``."""
    from autoperf.instrumentation.agentzero.mcp.kept_sessions import Kept

    return _rows(targets, probe, Kept(probe.mcp_limits, probe.memo("mcp sessions kept")))


def standby(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """The rows of ``mcp-standby``, which stands aside where sessions are kept."""
    from autoperf.instrumentation.agentzero.mcp.standby import Standby

    return _rows(targets, probe, Standby(probe.mcp_limits, probe.memo("mcp servers standing by")))


def _rows(targets: Mapping[str, str], probe: Probe, sessions: Sessions) -> Iterator[tuple[str, Build]]:
    probe.after_fork.append(sessions.forked)
    probe.at_stop.append(sessions.stop)
    if targets:
        yield VALIDATE, checking
    together = Together(_SESSION)
    for name, target in targets.items():
        if name == "session":
            yield target, functools.partial(_session, sessions, together)
        else:
            ours = _project(sessions) if name == "project" else _configuring(sessions)
            yield target, functools.partial(_beside, together, ours)


def _beside(together: Together, ours: Callable[..., Any], _original: Any, switch: Switch) -> Bound:
    """For what changes the configuration of sessions: nothing where none is ours."""
    together.joins("", switch)

    def passing(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        if together.state() is None:
            return wrapped(*args, **kwargs)
        return ours(wrapped, instance, args, kwargs)

    return Bound(passing)


def _session(sessions: Sessions, together: Together, original: Any, switch: Switch) -> Any:
    """For ``MCPClientBase._execute_with_session(coro_func, ...)``: the host's own, with another transport."""
    from autoperf.instrumentation.agentzero.mcp.messages import expect_known
    from autoperf.instrumentation.agentzero.mcp.operation import StandIn, Visit

    expect_known()
    if getattr((inside(original) or [None])[0], _MARK, False):
        together.stand_aside(_KEPT, "off")
        raise UnneededError(_KEPT)
    code = getattr(inspect.unwrap(original), "__code__", None)
    if _TRANSPORT not in getattr(code, "co_names", ()):
        raise AutoperfError("this host opens the transport of a session in another way")
    together.joins(_SESSION, switch)

    async def _execute_with_session(call: Any, self: Any, /, *args: Any, **kwargs: Any) -> Any:
        visit = None
        with guarded(_SEAM):
            visit = Visit(self, sessions)
        if visit is None:
            return await call(self, *args, **kwargs)
        stand_in = StandIn(visit)
        cancelled, failed = False, True
        try:
            result = await call.via(original.__get__(stand_in, StandIn))(*args, **kwargs)
            failed = False
            return result
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            with guarded(_SEAM):
                visit.end(cancelled=cancelled, failed=failed)

    setattr(_execute_with_session, _MARK, True)
    return _execute_with_session


def _configuring(sessions: Sessions) -> Callable[..., Any]:
    """For what changes the configuration: sessions from before it are not used after it."""

    def configure(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        before = [weakref.ref(connection.client) for connection in list(sessions.connections)]
        try:
            return wrapped(*args, **kwargs)
        finally:
            with guarded(_SEAM):
                former = [client for ref in before if (client := ref()) is not None]
                sessions.retire(lambda client: any(client is each for each in former))

    return configure


def _project(sessions: Sessions) -> Callable[..., Any]:
    """For ``MCPConfig.get_project_instance(project_name)``, which replaces a project's configuration."""
    last: dict[str, Any] = {}

    def get(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        config = wrapped(*args, **kwargs)
        with guarded(_SEAM):
            name = str(args[0] if args else kwargs.get("project_name"))
            former = last.get(name)
            if former is not config:
                if len(last) >= _PROJECTS_KNOWN:
                    del last[next(iter(last))]
                last[name] = config
                servers = list(getattr(former, "servers", ()))
                if servers:
                    sessions.retire(lambda client: any(client.server is server for server in servers))
        return config

    return get
