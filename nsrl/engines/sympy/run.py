"""The SymPy engine: Python with SymPy, restricted. Runs one program in this process and returns its Result.

Only ever called inside a child that was forked for one program and walled in (by `pool/worker.py`): the restrictions
below are the inner wall, not the only one. A program may import SymPy and a few arithmetic modules through stand-ins
that carry allowed names alone; it may not touch attributes that start with an underscore, nor the names that reach
frames, files or code. Strings that SymPy would evaluate go through `strings`.

The value is what the program prints (`text` is the last line of it that is not blank, `stdout` is all of it), or else
its last expression.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import sys
import time
from typing import Any

from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.engines.sympy import guards, namespace

ENGINE = "sympy"
MAX_SOURCE = 100_000  # characters
_MAX_NODES = 20_000
_METHODS = {
    "__init__", "__repr__", "__str__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__len__",
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__pow__", "__neg__",
    "__abs__", "__getitem__", "__iter__", "__next__", "__contains__", "__call__", "__enter__", "__exit__",
    "__post_init__", "__ne__", "__bool__", "__int__", "__float__", "__matmul__", "__floordiv__", "__mod__",
    "__rtruediv__",
    "__rpow__", "__pos__", "__iadd__", "__isub__", "__imul__", "__and__", "__or__", "__xor__", "__invert__",
    "__setitem__",
    "__delitem__", "__reversed__", "__missing__", "__round__", "__floor__", "__ceil__",
}  # fmt: skip
_PRECISION = {"prec", "dps", "rounding"}  # of decimal's and mpmath's contexts, which a program may set
_BUILTINS = ["abs", "all", "any", "ascii", "bin", "bool", "bytes", "callable", "chr", "complex", "dict", "divmod",
             "enumerate", "filter", "float", "format", "frozenset", "hash", "hex", "int", "isinstance", "issubclass",
             "iter", "len", "list", "map", "max", "min", "next", "oct", "ord", "pow", "range", "repr", "reversed",
             "round",
             "set", "slice", "sorted", "str", "sum", "tuple", "zip", "object", "property", "staticmethod",
             "classmethod",
             "super", "True", "False", "None", "NotImplemented", "Ellipsis", "ArithmeticError", "AssertionError",
             "AttributeError", "Exception", "ImportError", "IndexError", "KeyError", "LookupError", "NameError",
             "NotImplementedError", "OverflowError", "RecursionError", "RuntimeError", "StopIteration", "TypeError",
             "ValueError", "ZeroDivisionError"]  # fmt: skip
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")  # differs from run to run where the system moves memory about
_FORBIDDEN = (
    ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await,
)  # fmt: skip


class Refused(BaseException):
    """The program asks for what it may not have. No `except Exception` of a program catches it."""


class _Flood(BaseException):
    """More output than the limit."""


_refusals: list[str] = []


def refuse(what: str) -> None:
    """Refuse, and remember it: a program that swallows the exception is refused all the same."""
    _refusals.append(what)
    raise Refused(what)


class _Output(io.TextIOBase):
    """Standard output of a program: kept in memory, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._room = limit

    def write(self, text: str) -> int:
        self._room -= len(text)
        if self._room < 0:
            raise _Flood
        self._parts.append(text)
        return len(text)

    def text(self) -> str:
        return "".join(self._parts)


class _Checker(ast.NodeVisitor):
    """Refuses what the tree may not hold."""

    def __init__(self) -> None:
        self.nodes = 0
        self.in_class = 0

    def generic_visit(self, node: ast.AST) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            refuse("a program this large")
        if isinstance(node, _FORBIDDEN):
            refuse(type(node).__name__)
        super().generic_visit(node)

    def name(self, name: str | None) -> None:
        if name and (name.startswith("__") or name in namespace.NO_NAMES):
            refuse(f"the name {name}")

    def visit_Name(self, node: ast.Name) -> None:
        if not (
            node.id == "__name__" and isinstance(node.ctx, ast.Load)
        ):  # "__main__", as in every program's last lines
            self.name(node.id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        if name in guards.NO_ATTRIBUTES:
            refuse(f"the attribute {name}")
        if isinstance(node.ctx, ast.Load):
            own = name in _METHODS or not (name.startswith("__") or name in namespace.theirs)
            if name.startswith("_") and name != "__name__" and not (self.in_class and own):
                refuse(f"the attribute {name}")
        elif name not in _PRECISION and not (
            self.in_class and isinstance(node.value, ast.Name) and not name.startswith("__")
        ):
            refuse(f"changing the attribute {name}")
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.name(node.name)
        if node.keywords:
            refuse("a metaclass")
        self.in_class += 1
        self.generic_visit(node)
        self.in_class -= 1

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if not (self.in_class and node.name in _METHODS):
            self.name(node.name)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.name(node.arg)
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg and node.arg.startswith("__"):
            refuse(f"the argument {node.arg}")
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.name(node.name)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self.name(node.asname)
        if any(part.startswith("_") for part in node.name.split(".")):
            refuse(f"the import {node.name}")
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:
            self.name(name)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.visit_Global(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            if name.startswith("_") or name in guards.NO_FIELDS:
                refuse(f"the attribute {name}")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id in guards.NO_FIELDS:
            refuse(f"the field {node.target.id}")
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.name(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self.name(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.name(node.rest)
        self.generic_visit(node)


class _Formats(ast.NodeTransformer):
    """`text.format(...)` can read attributes by string: send it through a formatter that refuses private ones."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr != "format" or not isinstance(node.ctx, ast.Load):
            return node
        call = ast.Call(ast.Name("_nsrl_format", ast.Load()), [node.value], [])
        return ast.copy_location(ast.fix_missing_locations(ast.copy_location(call, node)), node)


def _builtins(out: _Output, shown: list[Any]) -> dict[str, Any]:
    table = {name: getattr(builtins, name) for name in _BUILTINS}

    def show(
        *values: Any, sep: str | None = None, end: str | None = None, file: Any = None, flush: bool = False
    ) -> None:
        if file is not None:
            refuse("print to a file")
        shown[:] = values if len(values) == 1 else []
        builtins.print(*values, sep=sep, end=end, file=out)

    def bring(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level:
            raise ImportError("a relative import")
        return namespace.bring(name, tuple(fromlist or ()), refuse)

    def reach(owner: Any, name: Any, *default: Any) -> Any:
        if type(name) is not str or name.startswith("_") or name == "format" or name in guards.NO_ATTRIBUTES:
            refuse(f"the attribute {name}")
        return getattr(owner, name, *default)

    def has(owner: Any, name: Any) -> bool:
        missing = object()
        return reach(owner, name, missing) is not missing

    table["getattr"], table["hasattr"] = reach, has
    table["print"] = show
    table["type"] = guards.class_of(refuse)
    table["__import__"] = bring
    table["__build_class__"] = builtins.__build_class__
    table["_nsrl_format"] = namespace.formatter(refuse)
    return table


def run(program: str, limits: Limits) -> Result:
    """Run one program. Never raises because of the program; the process it runs in is spent afterwards."""
    started = time.thread_time_ns()
    del _refusals[:]
    out = _Output(limits.output_bytes)
    sys.set_int_max_str_digits(max(640, limits.integer_digits))
    guards.close_doors()
    try:
        status, text, value, messages = _run(program, limits, out)
    except Refused as refusal:
        status, text, value, messages = Status.REFUSED, "", None, (Message("Python", "refused", str(refusal)),)
    except _Flood:
        note = Message("Python", "output", f"The output is larger than {limits.output_bytes} bytes.")
        status, text, value, messages = Status.MEMORY, "", None, (note,)
    except MemoryError:
        return Result(Status.MEMORY, cpu_ms=_ms(started), engine=ENGINE)
    if _refusals and status is not Status.REFUSED:
        note = Message("Python", "refused", _refusals[0])
        status, text, value, messages = Status.REFUSED, "", None, (note,)
    messages = tuple(Message(m.symbol, m.tag, _ADDRESS.sub(">", m.text)) for m in messages)
    return Result(
        status, _ADDRESS.sub(">", text), value, messages, _ADDRESS.sub(">", out.text()), 0, _ms(started), (), ENGINE
    )


def _ms(started: int) -> float:
    return (time.thread_time_ns() - started) / 1e6


def _failure(error: BaseException, status: Status) -> tuple[Status, str, Any, tuple[Message, ...]]:
    text = "maximum recursion depth exceeded"
    if not isinstance(error, RecursionError):
        with _Failures() as failures:  # an exception's text is the program's own code
            text = str(error)
        text = "an exception without a text" if failures.error is not None else text
    return status, "", None, (Message("Python", type(error).__name__, _exact(text)[:500]),)


def _exact(text: str) -> str:
    """The text as a plain str: a subclass of it may say anything of its length and parts."""
    return str.__getitem__(text, slice(None))


def _run(program: str, limits: Limits, out: _Output) -> tuple[Status, str, Any, tuple[Message, ...]]:
    if len(program) > MAX_SOURCE:
        refuse("a program this large")
    try:
        tree = ast.parse(program, "<program>", "exec")
        _Checker().visit(tree)
        tree = ast.fix_missing_locations(_Formats().visit(tree))
        last = tree.body[-1] if tree.body else None
        wanted = None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            wanted = compile(ast.fix_missing_locations(ast.Expression(last.value)), "<program>", "eval")
        code = compile(tree, "<program>", "exec")
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: a NUL byte, or a long number
        return _failure(error, Status.SYNTAX)
    shown: list[Any] = []
    space = namespace.space
    space.update({"__builtins__": _builtins(out, shown), "__name__": "__main__"})
    stdout = sys.stdout
    sys.stdout = out  # print_latex and friends write there
    value = None
    with _Failures() as failures:
        exec(code, space)
        if wanted is not None:
            value = eval(wanted, space)
        text = _exact(value if isinstance(value, str) else "" if value is None else str(value))
        status = Status.UNEVALUATED if namespace.unevaluated(value) else Status.OK
        answer = namespace.plain(value)
    sys.stdout = stdout
    if failures.error is not None:
        return _failure(failures.error, Status.UNEVALUATED)
    lines = [line for line in out.text().splitlines() if line.strip()]
    if lines:
        status = Status.UNEVALUATED if shown and namespace.unevaluated(shown[0]) else Status.OK
        return status, lines[-1].strip(), _shown(shown), ()
    if value is None:
        note = Message("Python", "novalue", "Nothing is printed and the last statement is no expression.")
        return Status.UNEVALUATED, "", None, (note,)
    if len(text) > limits.output_bytes:
        raise _Flood
    return status, text, answer, ()


class _Failures:
    """Holds the exception a program ended with. What is no failure of the program (refusals, memory) passes on."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> _Failures:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, SystemExit):
            refuse("exit")
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            return False
        self.error = error
        return True


def _shown(values: list[Any]) -> Any:
    """What the last `print` of one value showed, as a structured value."""
    return namespace.plain(values[0]) if values and not isinstance(values[0], str) else None
