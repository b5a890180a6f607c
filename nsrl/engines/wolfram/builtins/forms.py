"""Values to text and back: ToString, ToExpression, templates, the wrappers of display forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.builtins.strings import over_all
from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.expr import FAILED, NULL, TRUE, Expr, S, Symbol, boolean, is_list, mk
from nsrl.engines.wolfram.printer import output
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


# What the kernel writes over several lines, or with signs this printer has no rule for, has no string here.
_NO_LINE = re.compile(
    r"\b(Scientific|Engineering|Matrix|Table|Tree|Base|Number|Padded|Accounting|Decimal|TeX|MathML|C|Fortran|"
    r"Traditional)Form\["
)


def _forms(e: Any) -> bool:
    return type(e) is Expr and ((type(e.head) is Symbol and e.head.name.endswith("Form")) or any(map(_forms, e.args)))


@builtin("ToString", arity=(1, 3))
def to_string(ev: Evaluator, args: tuple) -> Any:
    as_form = len(args) > 1 and args[1] in (S.InputForm, S.FullForm)
    if len(args) > 1 and type(args[1]) is Symbol and not as_form and args[1] is not S.OutputForm:
        return None
    s = output(Expr(args[1], args[:1]) if as_form else args[0])
    if not as_form and _NO_LINE.search(s) and _forms(args[0]):
        return None
    ev.need_text(len(s))
    return s


@builtin("TextString", arity=1)
def text_string(ev: Evaluator, args: tuple) -> Any:
    return output(args[0])


@builtin("ToExpression", arity=(1, 3))
def to_expression(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.parser import parse

    s = args[0]
    if is_list(s):
        return over_all("ToExpression", ev, args)
    if type(s) is not str:
        return s
    ev.step(len(s))
    try:
        trees = parse(s)
    except WolframSyntaxError:
        ev.message("ToExpression", "sntx", f'Invalid syntax in or before "{s[:80]}".')
        return FAILED
    if len(args) == 3:
        return mk(args[2], trees[-1]) if trees else NULL
    out: Any = NULL
    for t in trees:
        out = ev.eval(t)
    return out


@builtin("SyntaxQ", arity=1)
def syntax_q(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.parser import parse

    if type(args[0]) is not str:
        return None
    try:
        parse(args[0])
    except WolframSyntaxError:
        return boolean(False)
    return TRUE


@builtin("StringTemplate TemplateApply", arity=(1, 2))
def string_template(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    s, values = args[0], args[1]
    s = s.args[0] if type(s) is Expr and s.head is S.StringTemplate else s
    if type(s) is not str:
        return None
    return fill_template(ev, s, values.args if is_list(values) else (values,))


def fill_template(ev: Evaluator, s: str, values: tuple) -> str:
    """`1`, `name` and `` filled in."""
    from nsrl.engines.wolfram.assoc import index, is_assoc

    named = index(values[0]) if values and is_assoc(values[0]) else {}
    n = 0

    def one(m: Any) -> str:
        nonlocal n
        k = m.group(1)
        if not k:
            n += 1
            return output(values[n - 1]) if n <= len(values) else m.group()
        if k.isdigit():
            return output(values[int(k) - 1]) if 0 < int(k) <= len(values) else m.group()
        return output(named[k]) if k in named else m.group()

    return re.sub(r"`([A-Za-z0-9]*)`", one, s)


TABLE["StringTemplate"].handler = None


@sub_handler("StringTemplate")
def _template_call(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return fill_template(ev, head.args[0], args) if head.args and type(head.args[0]) is str else None


# Wrappers stay: the result line is InputForm, which writes them as calls; ToString and Print (printer.output) do not.
symbols(TABLE, "InputForm OutputForm StandardForm TraditionalForm FullForm TeXForm MathMLForm CForm FortranForm")
