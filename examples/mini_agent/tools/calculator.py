"""Arithmetic on whole and decimal numbers."""

import ast
import operator
from collections.abc import Callable
from typing import Any

from helpers.errors import RepairableException
from helpers.tool import Response, Tool

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def _value(node: ast.AST) -> Any:
    # The syntax tree is walked instead of calling eval: the expression comes from a model.
    if isinstance(node, ast.Expression):
        return _value(node.body)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("only numbers and + - * / % are understood")


class Calculator(Tool):
    """`expression` in, "expression = value" out."""

    async def execute(self, expression: str = "", **kwargs: Any) -> Response:
        try:
            value = _value(ast.parse(expression, mode="eval"))
        except (ArithmeticError, SyntaxError, ValueError) as error:
            raise RepairableException(f"Cannot calculate '{expression}': {error}") from error
        return Response(message=f"{expression} = {value}", break_loop=False)
