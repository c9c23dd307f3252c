"""The messages of the Model Context Protocol as the `mcp` package hands them to a transport, looked into.

Source: ``SessionMessage(message=JSONRPCMessage(root=...), metadata=...)`` of mcp 1.8 to 1.x. New messages are
made in the shape of those that have passed, so that nothing is imported here.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.patching.patch import UnneededError

INITIALIZE: Final = "initialize"
INITIALIZED: Final = "notifications/initialized"
CANCELLED: Final = "notifications/cancelled"
PING: Final = "ping"
LIST_TOOLS: Final = "tools/list"
TOOLS_CHANGED: Final = "notifications/tools/list_changed"
_METHOD_NOT_FOUND: Final = -32601


def expect_known() -> None:
    """Raise `AutoperfError` unless the `mcp` package in this process has messages of the shape we know."""
    message, types = sys.modules.get("mcp.shared.message"), sys.modules.get("mcp.types")
    if message is None or types is None:
        raise UnneededError("the mcp package is not in use here")
    try:
        fields = [field.name for field in dataclasses.fields(message.SessionMessage)]
        known = fields == ["message", "metadata"] and "root" in types.JSONRPCMessage.model_fields
    except (AttributeError, TypeError):
        known = False
    if not known:
        raise AutoperfError("a version of the mcp package with other messages than 1.8 to 1.x")


def method(item: Any) -> str | None:
    """The method of a request or notification; None for an answer."""
    return getattr(item.message.root, "method", None)


def request_id(item: Any) -> int | str | None:
    """The id of a request or answer; None for a notification."""
    return getattr(item.message.root, "id", None)


def is_error(item: Any) -> bool:
    """Whether it is an answer that refuses."""
    return hasattr(item.message.root, "error")


def lists_tools(item: Any) -> bool:
    """Whether it asks for all tools of a server, from the first."""
    return method(item) == LIST_TOOLS and not (item.message.root.params or {}).get("cursor")


def changed(item: Any, **changes: Any) -> Any:
    """A copy of ``item`` with other fields of its root, such as ``id``."""
    root = item.message.root.model_copy(update=changes)
    return dataclasses.replace(item, message=type(item.message)(root))


def answered(answer: Any, to: Any) -> Any:
    """A fresh copy of ``answer`` as the answer to the request ``to``."""
    return changed(dataclasses.replace(answer, message=copy.deepcopy(answer.message)), id=request_id(to))


def request(like: Any, name: str, number: int) -> Any:
    """A request without parameters in the shape of the request ``like``."""
    root = type(like.message.root)(jsonrpc="2.0", id=number, method=name)
    return type(like)(type(like.message)(root))


def cancellation(like: Any, number: int) -> Any:
    """The notification that request ``number`` was given up, shaped like the notification ``like``."""
    parameters = {"requestId": number, "reason": "cancelled by the caller"}
    root = type(like.message.root)(jsonrpc="2.0", method=CANCELLED, params=parameters)
    return type(like)(type(like.message)(root))


def answer_alone(asked: Any) -> Any:
    """What to say to a server that asks while no operation of the host's is there to be asked."""
    types = sys.modules["mcp.types"]
    number = request_id(asked)
    if method(asked) == PING:
        root: Any = types.JSONRPCResponse(jsonrpc="2.0", id=number, result={})
    else:
        refusal = types.ErrorData(code=_METHOD_NOT_FOUND, message="nobody is there to answer")
        root = types.JSONRPCError(jsonrpc="2.0", id=number, error=refusal)
    return type(asked)(type(asked.message)(root))
