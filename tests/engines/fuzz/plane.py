"""Complex unknowns in Abs, Re, Im, Conjugate: roots of polynomials filtered by numbers, circles and lines cut by
hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp, mpc, mpf

from nsrl.engines import Result
from tests.engines.fuzz.equations import distinct, judged, polynomial_roots, polynomial_text, random_polynomial
from tests.engines.fuzz.runner import RIGHT, WRONG, Case, Kind
from tests.engines.fuzz.values import DIGITS, NoNumber, number, rules, same

_SMALL = mpf(10) ** -18


def _gauss(a: int, b: int) -> str:
    return f"(({a})+({b})*I)"


def _condition(rng: random.Random, near: Any) -> tuple[str, Callable[[Any], bool]]:
    """A condition on z; those with == hold at `near` where its parts are whole."""
    a, b, r = rng.randint(-2, 2), rng.randint(-2, 2), rng.randint(1, 4)
    c = mpc(a, b)
    n, u, v = int(mpmath.nint(abs(near - c) ** 2)), int(mpmath.nint(near.real)), int(mpmath.nint(near.imag))
    return rng.choice((
        (f"Abs[z-{_gauss(a, b)}]^2=={n}", lambda z: same(abs(z - c) ** 2, n)),
        (f"Abs[z-{_gauss(a, b)}]==Sqrt[{n}]", lambda z: same(abs(z - c) ** 2, n)),
        (f"Abs[z-{_gauss(a, b)}]<{r}", lambda z: abs(z - c) < r - _SMALL),
        (f"{r}<=Abs[z]", lambda z: abs(z) > r - _SMALL),
        (f"Re[z]=={u}", lambda z: same(z.real, u)),
        (f"Im[z]=={v}", lambda z: same(z.imag, v)),
        (f"Re[z]>{a}", lambda z: z.real > a + _SMALL),
        (f"Im[z]<={b}", lambda z: z.imag < b + _SMALL),
        (f"Im[z]!={v}", lambda z: not same(z.imag, v)),
        (f"Re[z]*Im[z]>{a}", lambda z: z.real * z.imag > a + _SMALL),
        (f"z*Conjugate[z]=={n if not c else r}", lambda z: same(abs(z) ** 2, n if not c else r)),
        (f"Abs[z-({a})]==Abs[z-{_gauss(a, r)}]", lambda z: same(abs(z - a), abs(z - mpc(a, r)))),
    ))  # fmt: skip


def _filtered(rng: random.Random) -> Case:
    """Polynomial equations and conditions, in any order."""
    c = random_polynomial(rng, 4)
    turned = rng.random() < 0.3  # coefficients that are not real
    found = [mpc(r) * (mpc(0, -1) if turned else 1) for r in polynomial_roots(c)]
    near = rng.choice(found)
    conditions = [_condition(rng, near) for _ in range(rng.choice((1, 1, 2)))]
    each = [f"{polynomial_text(c, '(I*z)' if turned else 'z')}==0", *(t for t, _ in conditions)]
    rng.shuffle(each)
    wanted = [z for z in found if all(test(z) for _, test in conditions)]
    head = rng.choice(("Solve", "Solve", "NSolve", "FindInstance"))
    text = "{" + ",".join(each) + "}" if rng.random() < 0.3 else "&&".join(each)
    if head != "FindInstance":
        return Case(
            "wolfram",
            f"{head}[{text},z]",
            judged(lambda: [(z,) for z in wanted], ("z",), slack=mpf(10) ** (-6 if head == "NSolve" else -15)),
        )

    def judge(result: Result) -> str:
        if result.value == ["List"]:
            return WRONG if wanted else RIGHT
        try:
            z = number(rules(result.value[1])["z"])
        except NoNumber:
            return WRONG
        return RIGHT if any(same(z, w, mpf(10) ** -15) for w in wanted) else WRONG

    return Case("wolfram", f"FindInstance[{text},z]", judge)


def _cut(rng: random.Random) -> Case:
    """Curves in the plane that meet in finitely many points, by formulas for these."""
    a, b, k = rng.randint(-6, 6), rng.randint(-6, 6), rng.randint(0, 6)
    m, r = rng.randint(-8, 8), rng.randint(1, 6)
    height = mpmath.sqrt(abs(r * r - (k - a) ** 2))
    chord = [mpc(k, b + s * height) for s in (1, -1)] if abs(k - a) <= r else []
    power = [mpc((a * a - b * b) / mpf(2 * a), b)] if a > 0 else []
    folded = [mpc(s * q) for q in _positive(-k, -m) for s in (1, -1)] + [
        mpc(0, s * q) for q in _positive(k, m) for s in (1, -1)
    ]
    pairs = [(f"Abs[z-{_gauss(a, b)}]=={r}&&Re[z]=={k}", chord), (f"z^2=={k}*Abs[z]+({m})", folded),
             (f"{r}*z+{k + r}*Conjugate[z]=={_gauss(a, b)}", [mpc(a / mpf(2 * r + k), -b / mpf(k))] if k else None),
             (f"z+Abs[z]=={_gauss(a, b)}", power if a or b else None)]  # fmt: skip
    text, wanted = rng.choice(pairs)
    if wanted is None:
        return _cut(rng)  # a whole line or half-line
    return Case("wolfram", f"Solve[{text},z]", judged(lambda: distinct([(z,) for z in wanted]), ("z",)))


def _positive(b: int, c: int) -> list[Any]:
    """The real q >= 0 with q² + b q + c = 0."""
    d = b * b - 4 * c
    return [q for s in (1, -1) for q in [(-b + s * mpmath.sqrt(d)) / 2] if q >= 0] if d >= 0 else []


def _precise(make: Callable[[random.Random], Case]) -> Kind:
    """What a case expects is computed and compared to many digits."""

    def made(rng: random.Random) -> Case:
        with mp.workdps(DIGITS):
            case = make(rng)

        def judge(result: Result) -> str:
            with mp.workdps(DIGITS):
                return case.judge(result)

        return case._replace(judge=judge)

    return Kind(made, least=0.8)


KIND = {"plane.filtered": _precise(_filtered), "plane.cut": _precise(_cut)}
