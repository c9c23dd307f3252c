"""Where the streams of litellm and openai are given something to ask."""

from __future__ import annotations

import ast
from typing import Any

EVENTS = "autoperf_events"
BEGIN = "autoperf_begin"
CHUNKS = "autoperf_chunks"
# What prints for debugging, and whether it does.
_HEARD = {"print_verbose": "litellm.set_verbose", "verbose_logger.debug": "verbose_logger.isEnabledFor(10)"}
KEPT = "autoperf_kept"


class StreamEdit(ast.NodeTransformer):
    """For openai's loop over events: one of a known kind is handed on at once, others are looked at."""

    def __init__(self) -> None:
        self.loops = self.yields = 0

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        """The loop whose variable is ``sse`` asks first; the one that drains the stream is left alone."""
        if not isinstance(node.target, ast.Name) or node.target.id != "sse":
            return node
        self.loops += 1
        self.generic_visit(node)
        asked = _code(
            f"if ({EVENTS}_made := {EVENTS}.take(sse)) is not None:\n    yield {EVENTS}_made\n    continue",
            node,
        )
        node.body = [*asked, *node.body]
        return [*_code(f"{EVENTS} = {BEGIN}(self)", node), node]

    def visit_Yield(self, node: ast.Yield) -> Any:
        """What openai made of an event is looked at on its way out."""
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "process_data":
            self.yields += 1
            node.value = _call(f"{EVENTS}.learn(sse)", call, call)
        return node

    def done(self) -> bool:
        """Whether everything was found where it was expected."""
        return self.loops == 1 and self.yields > 0


class WrapperEdit(ast.NodeTransformer):
    """For litellm's ``__anext__``: chunks are asked for, and one generator is kept over the stream."""

    def __init__(self) -> None:
        self.loops = self.calls = 0

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        """The loop over ``self.completion_stream``."""
        if ast.unparse(node.iter) == "self.completion_stream":
            self.loops += 1
            node.iter = _call(f"{KEPT}()", node.iter, node.iter)
            self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """``self.chunk_creator(chunk=chunk)`` of that loop."""
        if ast.unparse(node.func) != "self.chunk_creator" or self.calls == self.loops:
            return self.generic_visit(node)
        self.calls += 1
        asked = f"({CHUNKS}_made := {CHUNKS}.create(self, chunk)) is None"
        learnt = _call(f"{CHUNKS}.learn(self, chunk)", node, node)
        made = ast.Name(f"{CHUNKS}_made", ast.Load())
        chosen = ast.IfExp(_placed(ast.parse(asked, mode="eval").body, node), learnt, _placed(made, node))
        return ast.copy_location(chosen, node)

    def done(self) -> bool:
        """Whether everything was found where it was expected."""
        return self.loops == self.calls == 1


class QuietEdit(ast.NodeTransformer):
    """Texts for debug output are put together only when there is somebody to print them for."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Statements that do nothing but print for debugging."""
        call = node.value
        if not isinstance(call, ast.Call) or not any(isinstance(a, ast.JoinedStr) for a in call.args):
            return node
        test = _HEARD.get(ast.unparse(call.func))
        if test is None:
            return node
        self.found += 1
        silent = _placed(ast.parse(test, mode="eval").body, node)
        return ast.copy_location(ast.If(silent, [node], []), node)

    def done(self) -> bool:
        """Whether there was any."""
        return self.found > 0


def _code(text: str, at: ast.AST) -> list[ast.stmt]:
    return [_placed(statement, at) for statement in ast.parse(text).body]


def _call(text: str, argument: ast.expr, at: ast.AST) -> ast.expr:
    """The call in ``text`` with ``argument`` added, placed where ``at`` stands."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    call.args.append(ast.Name("autoperf_argument", ast.Load()))
    _placed(call, at)
    call.args[-1] = argument
    return call


def _placed(node: Any, at: ast.AST) -> Any:
    for part in ast.walk(node):
        ast.copy_location(part, at)
    return node
