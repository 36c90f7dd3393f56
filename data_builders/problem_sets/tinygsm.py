"""TinyGSM's Python solutions as chains of thought, with their value computed and nothing executed.

    from mulfact.data_builders.problem_sets.tinygsm import solve
    solve('def f():\n    a = 6 * 9\n    return a')

A solution is a function of assignments that ends in a return. The assignments, one a line, are the chain of thought;
the value is computed over their syntax tree in exact arithmetic. Whatever else a function holds makes it unusable: it
is counted, not guessed.
"""

import ast
import operator
from collections.abc import Callable
from fractions import Fraction

OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
MAX_CHARACTERS = 4000
MAX_DECIMALS = 4
MAX_BITS = 1000  # of a numerator or denominator: squaring again and again must not fill the memory


class Unusable(Exception):
    """The code is not a list of assignments whose value is a number."""


def solve(code: str) -> tuple[str, str] | None:
    """Return (the assignments, the returned value as a decimal number); None when the code is of another kind."""
    try:
        return _solve(code)
    except (Unusable, SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _solve(code: str) -> tuple[str, str]:
    if len(code) > MAX_CHARACTERS:
        raise Unusable
    (function,) = ast.parse(code.strip()).body
    if not isinstance(function, ast.FunctionDef):
        raise Unusable
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    variables: dict[str, Fraction] = {}
    for statement in body[:-1]:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            raise Unusable
        variables[statement.targets[0].id] = value_of(statement.value, variables)
    if len(body) < 2 or not isinstance(body[-1], ast.Return) or body[-1].value is None:
        raise Unusable
    answer = decimal(value_of(body[-1].value, variables))
    return "\n".join(ast.unparse(statement) for statement in body[:-1]), answer


def value_of(node: ast.expr, variables: dict[str, Fraction]) -> Fraction:
    """Return the exact value of an arithmetic expression. Raises Unusable for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    if isinstance(node, ast.Name) and node.id in variables:
        return variables[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -value_of(node.operand, variables)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        value = Fraction(OPERATIONS[type(node.op)](value_of(node.left, variables), value_of(node.right, variables)))
        if max(value.numerator.bit_length(), value.denominator.bit_length()) <= MAX_BITS:
            return value
    raise Unusable


def decimal(value: Fraction) -> str:
    """Return a number as GSM8K writes it. Raises Unusable when it needs more than MAX_DECIMALS decimals."""
    scaled = value * 10**MAX_DECIMALS
    if scaled.denominator != 1 or abs(value) >= 10**15:
        raise Unusable
    whole, rest = divmod(abs(scaled.numerator), 10**MAX_DECIMALS)
    decimals = f"{rest:0{MAX_DECIMALS}d}".rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}{'.' + decimals if decimals else ''}"
