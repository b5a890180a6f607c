"""The `Result` of what a program's values are: one value, several, the letter of an option."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from nsrl.engines.nsl.system import Unsolved, replaced
from nsrl.engines.nsl.trees import has_symbol, in_radians, is_call, is_nameless, is_text, names_of, unowned, word_of
from nsrl.engines.nsl.truths import RELATION_HEADS
from nsrl.engines.nsl.units import has_base
from nsrl.engines.nsl.values import Values
from nsrl.engines.nsl.words import free_names, heads, symbol
from nsrl.engines.result import Result, Status
from nsrl.engines.wolfram import printer
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.poly import NotPolynomial, Ring


class Results(Values):
    """What the values of a program are as its Result."""

    def finish(self, values: list[Any], left: tuple[str, str] | None) -> Result:
        """The Result of values of which `left` says what is missing: a tag and words."""
        if self.units:
            for v in values:
                if has_base(v):
                    return self.done(Status.UNEVALUATED, "", None, ("unit", "the units do not match"))
        if any(S.EmptyRegion in heads(v) for v in values):
            return self.done(Status.NO_SOLUTION, "{}", ["List"], ("none", "the lines have no point in common"))
        if any(is_text(v) for v in values):
            return self.done(
                Status.UNEVALUATED,
                "",
                None,
                ("text", "a text stands where a number should, or a number or a name where true or false should"),
            )
        if self.program.unclear:
            parts = [a for v in values for a in (v.args if is_list(v) else (v,))]
            self.clear(n for a in parts for n in free_names(a.args[1] if has_head(a, S.Rule) else a))
        if any(in_radians(v) for v in values):
            return self.done(
                Status.UNEVALUATED, "", None, ("angle", "an angle is a plain number; degrees are written with °")
            )
        if self.program.options:
            return self.chosen(values)
        if left is not None:
            return self.done(Status.LEFTOVER, "", None, left, tree=values[0] if len(values) == 1 else lst(values))
        if len(values) > 1:
            said = ("many", f"{len(values)} solutions; a condition such as x>0 singles one out")
            return self.done(Status.AMBIGUOUS, "", None, said, tree=lst(values))
        v = values[0]
        if any(is_nameless(v) for v in values):
            return self.done(
                Status.UNEVALUATED,
                "",
                None,
                ("index", "the value holds a function's bare name; the first element is L[1]"),
            )
        if type(v) is Expr and is_call(v):
            return self.done(Status.UNEVALUATED, tree=v)
        return self.done(Status.OK, tree=v)

    def clear(self, names: Iterable[Any]) -> None:
        """Raises Unsolved for e and i among the names where only an equation makes them names."""
        if self.program.unclear and (unclear := {symbol(c) for c in self.program.unclear}.intersection(names)):
            raise Unsolved(f"is {names_of(unclear)} a name or the constant? set it, or name it otherwise")

    def chosen(self, values: list[Any]) -> Result:
        """The letter of the option that equals the value."""
        options = [self.option(o) for o in self.program.options]
        hits = [i for i, o in enumerate(options) if any(self.equal(v, o, False) for v in values)]
        if not hits:
            hits = [i for i, o in enumerate(options) if any(self.equal(v, o, True) for v in values)]
        shown = printer.text(unowned(values[0] if len(values) == 1 else lst(values)))
        if not hits:
            return self.done(Status.NO_SOLUTION, shown, None, ("option", f"no option equals {shown}"))
        letters = [chr(ord("A") + i) for i in hits]
        if len(hits) > 1:
            return self.done(Status.AMBIGUOUS, "", None, ("option", f"options {', '.join(letters)} equal {shown}"),
                             tree=lst(letters))  # fmt: skip
        return self.done(Status.OK, tree=letters[0])

    def option(self, o: Any) -> Any:
        """An option as a value, or as what it says of its names."""
        o = self.known(o)
        if type(o) is Expr and o.head in RELATION_HEADS and free_names(o):
            names = free_names(o)
            return self.core.evaluate(mk(S.Reduce, o, names[0] if len(names) == 1 else lst(names), S.Reals))
        return self.simplified(o)

    def equal(self, v: Any, o: Any, loosely: bool) -> bool:
        """Whether value and option are the same; loosely: decimals to half a unit of the option's last digit, and
        degrees against bare numbers."""
        if v == o and type(v) is type(o):
            return True
        if v is S.E and type(o) is Symbol and o.name == "e":
            return True
        if v in (TRUE, FALSE):
            return (word_of(o) or "").lower() in (("yes", "true") if v is TRUE else ("no", "false"))
        if is_list(v) and is_list(o):
            ours, theirs = v.args, o.args  # pyright: ignore[reportAttributeAccessIssue]
            return len(ours) == len(theirs) and all(self.equal(a, b, loosely) for a, b in zip(ours, theirs))
        if isinstance(v, str) or isinstance(o, str):
            return word_of(v) is not None and word_of(v) == word_of(o)
        for a in (v, o):
            if type(a) is Expr and (is_list(a) or a.head in RELATION_HEADS):
                return False
        ring = Ring()
        try:
            d = ring.quotient(*ring.ratio(mk(S.Plus, v, mk(S.Times, -1, o))))
        except (NotPolynomial, ZeroDivisionError):
            d = None
            difference = self.core.evaluate(mk(S.N, mk(S.Plus, v, mk(S.Times, -1, o))))
            size = difference if isinstance(difference, (int, float)) else None
        else:
            if not d:
                return True
            size = ring.real(d)
        if size is None:
            return False
        if type(o) is float and loosely:
            digits = max(0, -int(Decimal(repr(o)).as_tuple().exponent) - repr(o).endswith(".0"))
            return abs(size) <= 0.5 * 10.0**-digits * (1 + 1e-9)
        if loosely and has_symbol(o, S.Degree) and not has_symbol(v, S.Degree):
            return self.equal(v, replaced(o, {S.Degree: 1}), False)
        return (d is None and abs(size) < 1e-9) or (type(v) is float and abs(size) < 1e-9)
