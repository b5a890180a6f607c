"""Matrices and functions that rotate, reflect, scale and move; points on circles, paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.builtins.geometry import dotted
from nsrl.engines.wolfram.builtins.linalg import rows, vector
from nsrl.engines.wolfram.builtins.regions import regular_polygon
from nsrl.engines.wolfram.expr import Expr, S, is_list, lst, minus, mk, plus, power, times
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("AnglePath", arity=1, takes="list")
def angle_path(ev: Evaluator, args: tuple) -> Any:
    at: Any = lst((0, 0))
    out, turn = [at], 0
    for a in args[0].args:
        r, t = a.args if is_list(a) else (1, a)
        turn = ev.call(S.Plus, turn, t)
        at = ev.eval(mk(S.Plus, at, lst((times(r, mk(S.Cos, turn)), times(r, mk(S.Sin, turn))))))
        out.append(at)
    return lst(out)


@builtin("RotationMatrix", arity=(1, 2))
def rotation_matrix(ev: Evaluator, args: tuple) -> Any:
    t = args[0]
    c, s = mk(S.Cos, t), mk(S.Sin, t)
    if len(args) == 1:
        return ev.eval(lst((lst((c, times(-1, s))), lst((s, c)))))
    axis = vector(args[1])
    if axis == [0, 0, 1]:
        return ev.eval(lst((lst((c, times(-1, s), 0)), lst((s, c, 0)), lst((0, 0, 1)))))
    if axis == [1, 0, 0]:
        return ev.eval(lst((lst((1, 0, 0)), lst((0, c, times(-1, s))), lst((0, s, c)))))
    if axis == [0, 1, 0]:
        return ev.eval(lst((lst((c, 0, s)), lst((0, 1, 0)), lst((times(-1, s), 0, c)))))
    return None


@builtin("ReflectionMatrix", arity=1)
def reflection_matrix(ev: Evaluator, args: tuple) -> Any:
    v = vector(args[0])
    if v is None:
        return None
    n = power(dotted(v, v), -1)
    return ev.eval(
        lst(lst(plus(1 if i == j else 0, times(-2, v[i], v[j], n)) for j in range(len(v))) for i in range(len(v)))
    )


@builtin("ScalingMatrix", arity=1)
def scaling_matrix(ev: Evaluator, args: tuple) -> Any:
    return ev.eval(mk(S.DiagonalMatrix, args[0])) if vector(args[0]) is not None else None


def _affine(ev: Evaluator, m: Any, shift: list[Any]) -> Any:
    """TransformationFunction of x -> m x + shift."""
    r = rows(ev.eval(m))
    if r is None:
        return None
    shift = [ev.eval(s) for s in shift]
    body = [lst((*row, s)) for row, s in zip(r, shift)]
    return mk(S.TransformationFunction, lst((*body, lst((*[0] * len(shift), 1)))))


@builtin("TranslationTransform", arity=1)
def translation_transform(ev: Evaluator, args: tuple) -> Any:
    v = vector(args[0])
    return None if v is None else _affine(ev, mk(S.IdentityMatrix, len(v)), v)


@builtin("RotationTransform", arity=(1, 3))
def rotation_transform(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 3:
        return None
    m = rotation_matrix(ev, args[:1])
    if len(args) == 1:
        return _affine(ev, m, [0, 0])
    p = vector(args[1])
    if p is None or len(p) != 2:
        r = rotation_matrix(ev, args)
        return None if r is None else _affine(ev, r, [0, 0, 0])
    moved = ev.eval(mk(S.Dot, m, lst(p)))
    return _affine(ev, m, [minus(a, b) for a, b in zip(p, moved.args)])


@builtin("ReflectionTransform", arity=(1, 2))
def reflection_transform(ev: Evaluator, args: tuple) -> Any:
    m = reflection_matrix(ev, args[:1])
    if m is None:
        return None
    p = vector(args[1]) if len(args) == 2 else [0] * len(args[0].args)
    if p is None or len(p) != len(args[0].args):
        return None
    moved = ev.eval(mk(S.Dot, m, lst(p)))
    return _affine(ev, m, [minus(a, b) for a, b in zip(p, moved.args)])


@builtin("ScalingTransform", arity=(1, 2))
def scaling_transform(ev: Evaluator, args: tuple) -> Any:
    v = vector(args[0])
    if v is None:
        return None
    p = vector(args[1]) if len(args) == 2 else [0] * len(v)
    if p is None:
        return None
    return _affine(ev, mk(S.DiagonalMatrix, lst(v)), [minus(a, times(k, a)) for a, k in zip(p, v)])


@sub_handler("TransformationFunction")
def transformed(ev: Evaluator, head: Expr, args: tuple) -> Any:
    if len(args) != 1 or rows(head.args[0]) is None or not is_list(args[0]):
        return None
    if rows(args[0]) is not None:
        return lst(Expr(head, (p,)) for p in args[0].args)
    *m, last = rows(head.args[0])
    x = [*args[0].args, 1]
    if len(m[0]) != len(x):
        return None
    out = [Expr(S.Plus, tuple(times(a, b) for a, b in zip(r, x))) for r in m]
    if last != [0] * (len(x) - 1) + [1]:
        scale = power(Expr(S.Plus, tuple(times(a, b) for a, b in zip(last, x))), -1)
        out = [times(q, scale) for q in out]
    return lst(out)


@builtin("CirclePoints", arity=(1, 3))
def circle_points(ev: Evaluator, args: tuple) -> Any:
    p = regular_polygon(ev, args)
    return None if p is None else lst(lst(q) for q in p)
