"""What the left side of `name = value` names: a symbol, a segment, an angle, f(3), a sum of symbols. No text, no
golds."""

from __future__ import annotations

from nsrl.answers import tree as tr
from nsrl.answers.tree import Tree
from nsrl.answers.values import Items, Ratio, Relation, Scalar, Value


def name(value: Value) -> str | None:
    """The name on the left of `name = ...`: a symbol, a segment AB, f(x); None for an expression."""
    if not isinstance(value, Scalar):
        return None
    tree = value.tree
    if tree[0] == "sym":
        return tree[1]
    if tree[:2] == ("fn", "vec"):
        return "→" + "".join(t[1] for t in tree[2:])
    if tree[0] == "const" and tree[1] in "ei":
        return tree[1]
    if tree[0] == "mul":
        names = [name(Scalar(t)) for t in tree[1:]]
        if all(names):
            joined = "".join(sorted("".join(n for n in names if n)))
            return "y" if joined in ("fx", "gx", "hx") else joined  # y and f(x) name the same thing
    return None


def other_things(one: str, other: str) -> bool:
    """Whether two names are of different quantities for sure: xy and x, AB and BC, ∠ABC and ∠ACB; x and y need not
    be."""
    if one == other or _corner(one) == other or _corner(other) == one:
        return False
    if one[:1] in ("∠", "→") and other[:1] in ("∠", "→"):
        return True  # these have an order
    letters = set(one), set(other)
    return (
        letters[0] < letters[1]
        or letters[1] < letters[0]
        or (letters[0] != letters[1] and all(len(n) > 1 and "".join(n).isupper() for n in letters))
    )


def _corner(angle: str) -> str | None:
    """B of the angle ABC, which may be all that is written."""
    return angle[2] if len(angle) == 4 and angle[0] == "∠" else None


def is_label(value: Value) -> bool:
    """Whether the left of an equation only names a quantity: NO/BO, |AB|, A:B, sin A; not x^2 + y^2 or 2x."""
    if isinstance(value, Ratio):
        return all(is_label(p) for p in value.parts)
    return isinstance(value, Scalar) and bool(tr.symbols(value.tree)) and _names_only(value.tree)


def _names_only(tree: Tree) -> bool:
    if tree[0] == "pow":
        return tree[2] == tr.MINUS_ONE and _names_only(tree[1])
    return tree[0] in ("sym", "const") or (
        tree[0] in ("mul", "fn") and all(_names_only(t) for t in tree[1:] if isinstance(t, tuple))
    )


def is_total(value: Value) -> bool:
    """Whether a quantity is built of two symbols or more, all terms of one degree and none with a number before it:
    x + y, ab + bc + ca, x^2 + y^2. A problem asks for it; x^2 - 4 and x^2 - x are sides of an equation to solve."""
    if not isinstance(value, Scalar) or value.tree[0] != "add" or len(tr.symbols(value.tree)) < 2:
        return False
    degrees = {_degree(t[2] if t[:2] == ("mul", tr.MINUS_ONE) and len(t) == 3 else t) for t in value.tree[1:]}
    return len(degrees) == 1 and None not in degrees


def _degree(tree: Tree) -> int | None:
    """The degree of a product of powers of symbols; None for anything else."""
    if tree[0] == "sym" or tree == tr.ONE:
        return int(tree != tr.ONE)
    if tree[0] == "pow" and tree[1][0] == "sym" and tree[2][0] == "num" and tree[2][1].denominator == 1:
        return int(tree[2][1])
    if tree[0] == "pow" and tree[2] == tr.MINUS_ONE and (inner := _degree(tree[1])) is not None:
        return -inner
    if tree[0] == "mul":
        degrees = [_degree(t) for t in tree[1:]]
        return sum(d for d in degrees if d is not None) if None not in degrees else None
    return None


def free(value: Value) -> bool:
    """Whether symbols occur."""
    if isinstance(value, Scalar):
        return bool(tr.symbols(value.tree))
    if isinstance(value, Relation):
        return free(value.left) or free(value.right)
    if isinstance(value, Items):
        return any(free(i) for i in value.items)
    return False
