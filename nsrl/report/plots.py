"""Plots of a run's metrics as SVG and PNG. Rows of metrics.jsonl in, pictures out; knows nothing of HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsrl.engines.result import Status

Rows = Sequence[Mapping[str, Any]]
LANGUAGES = {"nsl": "#0f766e", "wolfram": "#c2410c", "sympy": "#2563eb", "prose": "#a16207", "direct": "#94a3b8"}
INK, FAINT, ACCENT, SECOND, BAD = "#1f2937", "#e5e7eb", "#0f766e", "#c2410c", "#b91c1c"
PARTS = {
    "rollout": "#0f766e", "engine": "#c2410c", "reward": "#a16207", "pack": "#64748b", "reference": "#7c3aed",
    "forward": "#2563eb", "backward": "#1e40af", "optim": "#94a3b8", "sync": "#db2777", "save": "#475569",
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A finished plot. svg: a data URL for a page; png: bytes for a file."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def plots(rows: Rows, evaluations: Mapping[str, Mapping[str, Any]] | None = None) -> list[Plot]:
    """Every plot the metrics have something for."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        grpo = [r for r in rows if r.get("phase", "grpo") == "grpo"]
        supervised = [r for r in rows if r.get("phase", "grpo") != "grpo"]
        made = [
            _learning(grpo, evaluations or {}),
            _languages(grpo),
            _lengths(grpo),
            _rewards(grpo),
            _engine(grpo),
            _policy(grpo),
            _timing(grpo),
            _supervised(supervised),
        ]
    return [p for p in made if p is not None]


_STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": "#4b5563", "ytick.color": "#4b5563", "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.8,
    "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.8, "xtick.major.size": 0,
    "ytick.major.size": 0, "svg.fonttype": "path", "svg.hashsalt": "nsrl", "figure.dpi": 100,
}  # fmt: skip


def _figure(height: float = 2.9) -> tuple[Any, Any]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.6, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    return figure, axes


def _finish(figure: Any, name: str, title: str, caption: str) -> Plot:
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", dpi=160)
    url = "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode()
    return Plot(name, title, caption, url, png.getvalue())


def series(rows: Rows, key: str) -> tuple[list[float], list[float]]:
    """(steps, values) of a metric where it was logged."""
    pairs = [(float(r["step"]), float(r[key])) for r in rows if isinstance(r.get(key), int | float)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Centred running mean with a window that shrinks at the ends."""
    half = window // 2
    out = []
    for i in range(len(values)):
        reach = min(half, i, len(values) - 1 - i)
        part = values[i - reach : i + reach + 1]
        out.append(sum(part) / len(part))
    return out


def _curve(axes: Any, x: Sequence[float], y: Sequence[float], colour: str, label: str, style: str = "-") -> None:
    """A metric: its steps faint, its running mean over them."""
    window = max(1, len(y) // 20)
    mark = {"marker": "o", "markersize": 3.5} if len(y) < 12 else {}
    if window > 1:
        axes.plot(x, y, color=colour, alpha=0.22, linewidth=1)
    axes.plot(x, smooth(y, window), style, color=colour, label=label, **mark)


def _percent(axes: Any, top: float = 1.0) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(0, top)


def _plain_ticks(axes: Any) -> None:
    """Numbers, not powers of ten, on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _learning(rows: Rows, evaluations: Mapping[str, Mapping[str, Any]]) -> Plot | None:
    x, y = series(rows, "pass@1")
    if not x:
        return None
    figure, axes = _figure(3.1)
    kx, ky = series(rows, "pass@k")
    if kx:
        _curve(axes, kx, ky, "#94a3b8", "pass@G of the group")
    _curve(axes, x, y, ACCENT, "training samples, pass@1")
    points = [(0.0, evaluations.get("warm_start")), (max(x), evaluations.get("final"))]
    points += [(float(n[5:]), e) for n, e in evaluations.items() if n.startswith("step_") and n[5:].isdigit()]
    first = True
    for at, e in sorted((p for p in points if p[1]), key=lambda p: p[0]):
        low, high = e["ci95"]
        axes.errorbar(
            [at], [e["accuracy"]], yerr=[[max(0, e["accuracy"] - low)], [max(0, high - e["accuracy"])]], fmt="D", markersize=5.5,
            color=SECOND, capsize=3, label="held-out problems, 95%" if first else None, zorder=5, clip_on=False,
        )  # fmt: skip
        first = False
    _percent(axes)
    axes.legend(loc="lower right")
    return _finish(figure, "accuracy", "Accuracy", "Share of right answers: samples at temperature 1 during training, and held-out problems before and after.")


def _languages(rows: Rows) -> Plot | None:
    found = {n: series(rows, f"language/{n}") for n in LANGUAGES}
    found = {n: s for n, s in found.items() if s[0] and max(s[1]) > 0}
    if not found:
        return None
    figure, axes = _figure(3.1)
    x = next(iter(found.values()))[0]
    window = max(1, len(x) // 20)
    axes.stackplot(x, *[smooth(y, window) for _, y in found.values()], colors=[LANGUAGES[n] for n in found], labels=list(found), alpha=0.9, linewidth=0)
    _percent(axes)
    axes.grid(False)
    figure.legend(loc="outside upper center", ncols=len(found), handlelength=1, columnspacing=1.2)
    return _finish(figure, "languages", "Languages", "What the policy writes. Nothing tells it which language to use: it finds out which one pays.")


def _lengths(rows: Rows) -> Plot | None:
    x, y = series(rows, "completions/mean_length")
    if not x:
        return None
    figure, axes = _figure()
    mx, my = series(rows, "completions/max_length")
    if mx:
        _curve(axes, mx, my, "#94a3b8", "longest of the step")
    _curve(axes, x, y, ACCENT, "mean")
    axes.set_ylabel("tokens")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")
    clipped = series(rows, "completions/clipped_ratio")[1]
    note = f" Cut at the limit in the last tenth: {100 * sum(clipped[-max(1, len(clipped) // 10) :]) / max(1, len(clipped[-max(1, len(clipped) // 10) :])):.1f}%." if clipped else ""
    return _finish(figure, "lengths", "Output tokens", "Tokens of a completion." + note)


def _rewards(rows: Rows) -> Plot | None:
    x, y = series(rows, "reward")
    if not x:
        return None
    figure, axes = _figure()
    names = sorted({k.split("/")[1] for r in rows for k in r if k.startswith("rewards/") and k.endswith("/mean")})
    palette = ["#2563eb", "#a16207", "#7c3aed", "#db2777", "#64748b"]
    for name, colour in zip(names, palette):
        nx, ny = series(rows, f"rewards/{name}/mean")
        if nx:
            _curve(axes, nx, ny, colour, name, "--")
    _curve(axes, x, y, ACCENT, "reward")
    sx, sy = series(rows, "reward_std")
    if len(sx) == len(x) and sx:
        window = max(1, len(y) // 20)
        mean, std = smooth(y, window), smooth(sy, window)
        axes.fill_between(x, [m - s for m, s in zip(mean, std)], [m + s for m, s in zip(mean, std)], color=ACCENT, alpha=0.12, linewidth=0)
    figure.legend(loc="outside upper center", ncols=min(4, 1 + len(names)), handlelength=1.4, columnspacing=1.2)
    return _finish(figure, "reward", "Reward", "Weighted reward with the spread within groups (band), and its components before weighting (dashed).")


def _engine(rows: Rows) -> Plot | None:
    logged = {k for r in rows for k in r}
    found = {s.value: f"engine/{s.value}_frac" for s in Status if f"engine/{s.value}_frac" in logged}
    names = list(found.values())
    if not found:
        return None
    figure, axes = _figure()
    colours = {"ok": ACCENT, "message": "#a16207", "unevaluated": "#64748b", "syntax": BAD, "timeout": "#7c3aed"}
    spare = iter(["#2563eb", "#db2777", "#475569", "#65a30d", "#0891b2", "#9333ea"])
    steps = [float(r["step"]) for r in rows if any(isinstance(r.get(k), int | float) for k in names)]
    stack = [[float(r.get(k) or 0) for r in rows if any(isinstance(r.get(n), int | float) for n in names)] for k in found.values()]
    window = max(1, len(steps) // 20)
    order = sorted(range(len(stack)), key=lambda i: -sum(stack[i]))
    labels = list(found)
    axes.stackplot(
        steps, *[smooth(stack[i], window) for i in order], labels=[labels[i] for i in order],
        colors=[colours.get(labels[i]) or next(spare, "#111827") for i in order], alpha=0.9, linewidth=0,
    )  # fmt: skip
    _percent(axes)
    axes.grid(False)
    figure.legend(loc="outside upper center", ncols=min(5, len(order)), handlelength=1, columnspacing=1.2)
    return _finish(figure, "engine", "How programs end", "Share of programs by the engine's status.")


def _policy(rows: Rows) -> Plot | None:
    keys = {
        "grad_norm": ("gradient norm", SECOND, "-"),
        "entropy": ("entropy (nats)", "#2563eb", "-"),
        "kl": ("KL to the reference", "#7c3aed", "-"),
        "frac_reward_zero_std": ("groups without spread", "#64748b", "--"),
        "clip_ratio/region_mean": ("clipped", "#a16207", "--"),
    }
    figure, axes = _figure()
    drawn = 0
    for key, (label, colour, style) in keys.items():
        x, y = series(rows, key)
        if x and any(y):
            _curve(axes, x, y, colour, label, style)
            drawn += 1
    if not drawn:
        return None
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=3, handlelength=1.4, columnspacing=1.2)
    return _finish(figure, "policy", "The update", "A group whose answers are all right or all wrong has no spread and gives no gradient; a loss near 0 is normal, because advantages of a group sum to 0.")


def _timing(rows: Rows) -> Plot | None:
    names = [n for n in PARTS if any(isinstance(r.get(f"timing_s/{n}"), int | float) for r in rows)]
    if not names:
        return None
    figure, axes = _figure()
    x = [float(r["step"]) for r in rows]
    window = max(1, len(x) // 20)
    stack = [smooth([float(r.get(f"timing_s/{n}") or 0) for r in rows], window) for n in names]
    axes.stackplot(x, *stack, labels=names, colors=[PARTS[n] for n in names], alpha=0.9, linewidth=0)
    axes.set_ylabel("seconds per step")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=5, handlelength=1, columnspacing=1.2)
    return _finish(figure, "timing", "Where the time goes", "Seconds of a step by room.")


def _supervised(rows: Rows) -> Plot | None:
    if not rows:
        return None
    figure, axes = _figure()
    at = 0
    colours = {"reading": "#64748b", "warm_start": ACCENT, "extra": SECOND}
    for phase in dict.fromkeys(str(r["phase"]) for r in rows):
        y = series([r for r in rows if r["phase"] == phase], "loss")[1]
        if y:
            _curve(axes, list(range(at, at + len(y))), y, colours.get(phase, "#2563eb"), phase.replace("_", " "))
            at += len(y)
    if not at:
        return None
    axes.set_ylabel("cross-entropy (nats)")
    axes.set_yscale("log")
    _plain_ticks(axes)
    axes.legend(loc="upper right")
    return _finish(figure, "warm_start", "Warm start", "Supervised loss on demonstrations, before any reward.")
