"""A calculator: numbers, operators and a few functions, walked by hand within limits; no code is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from edge.errors import RequestError

Number = int | float

MAX_LENGTH = 1000
MAX_NODES = 200
MAX_DIGITS = 4000
_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    **{name: getattr(math, name) for name in ("sqrt", "exp", "log", "log2", "log10", "sin", "cos", "tan")},
    **{name: getattr(math, name) for name in ("asin", "acos", "atan", "atan2", "degrees", "radians")},
    **{name: getattr(math, name) for name in ("floor", "ceil", "hypot", "gcd")},
    "abs": abs,
    "min": min,
    "max": max,
}
MAX_PLACES = 400
_CONSTANTS = {"pi": math.pi, "e": math.e}


def calculator(expression: str) -> str:
    """Compute an arithmetic expression, for example (3 + 4) * 12.5 / 2 ** 3 or sqrt(2) * pi; ^ is a power too.

    Args:
        expression: Numbers, + - * / // % **, brackets, sqrt, exp, log, sin, cos, round, min, max and the like.
    """
    if len(expression) > MAX_LENGTH:
        raise _refusal(f"at most {MAX_LENGTH} characters, found {len(expression)}")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _refusal(f"an arithmetic expression, found {expression[:80]!r}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise _refusal(f"at most {MAX_NODES} numbers and operators")
    try:
        value = _compute(tree.body)
    except (ZeroDivisionError, OverflowError, ValueError, TypeError) as error:
        raise _refusal(f"an expression with a value ({error})") from None
    return _written(value)


def _round(value: Number, places: Number = 0) -> Number:
    """Round half to even; Python's own takes for ever with billions of places."""
    if not isinstance(places, int) or abs(places) > MAX_PLACES:
        raise ValueError(f"round takes at most {MAX_PLACES} places")
    return round(value, places)


def _compute(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        assert isinstance(node.value, int | float)
        return node.value
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _compute(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _compute(node.left), _compute(node.right)
        if isinstance(node.op, ast.Pow):
            return _checked(_power(left, right))
        if type(node.op) in _OPERATORS:
            return _checked(_OPERATORS[type(node.op)](left, right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _round if node.func.id == "round" else _FUNCTIONS.get(node.func.id)
        if function is not None and not any(isinstance(argument, ast.Starred) for argument in node.args):
            return _checked(function(*(_compute(argument) for argument in node.args)))
    raise _refusal(f"numbers, operators and known functions, found {ast.unparse(node)[:80]!r}")


def _power(left: Number, right: Number) -> Number:
    """Raise to a power whose size is known to be bounded before it is computed."""
    if isinstance(left, int) and isinstance(right, int) and right > 0:
        digits = right * math.log10(abs(left)) if left else 0
        if digits > MAX_DIGITS:
            raise _refusal(f"numbers of at most {MAX_DIGITS} digits")
    value = left**right
    if isinstance(value, complex):
        raise ValueError("a negative number has no such real power")
    return value


def _checked(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_DIGITS * 3.32:
        raise _refusal(f"numbers of at most {MAX_DIGITS} digits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the result is not finite")
    return value


def _written(value: Number) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _refusal(expected: str) -> RequestError:
    return RequestError(f"calculator: expected {expected}.", field="expression")
