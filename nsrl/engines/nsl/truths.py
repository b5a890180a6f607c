"""What can be true or false: relations, and the tests among the builtins (`isprime(x)`, `EvenQ(x)`)."""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol

RELATION_HEADS = frozenset([S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Inequality, S.Element,
S.And, S.Or,
                            S.Not, S.MemberQ])  # fmt: skip
ARITHMETIC = frozenset([S.Plus, S.Times, S.Power, S.Sqrt, S.Abs])
_TESTS = frozenset([S.Divisible, S.Xor, S.Implies, S.Equivalent, S.AnyTrue, S.AllTrue, S.NoneTrue, S.Between,
S.Positive, S.Negative,
                    S.NonPositive, S.NonNegative])  # fmt: skip


def is_truth(e: Any) -> bool:
    """Whether the form of e says that it is true or false."""
    if type(e) is Symbol:
        return e in (TRUE, FALSE)
    return type(e) is Expr and (e.head in RELATION_HEADS or is_test(e))


def is_test(e: Any) -> bool:
    """Whether e is a builtin's yes or no."""
    h = e.head if type(e) is Expr else None
    return h in _TESTS or (type(h) is Symbol and h.builtin is not None and h.name[-1] == "Q")
