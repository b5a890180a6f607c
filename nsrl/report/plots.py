"""Plots of a run's metrics are SVG and PNG, with the numbers under the pointer: rows of metrics.jsonl come in, pictures
go out."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from nsrl.engines.result import Status

Rows = Sequence[Mapping[str, Any]]
LANGUAGES = {"nsl": "#0f766e", "wolfram": "#c2410c", "sympy": "#2563eb", "prose": "#a16207", "direct": "#94a3b8"}
INK, FAINT, ACCENT, SECOND, BAD = "#1f2937", "#e5e7eb", "#0f766e", "#c2410c", "#b91c1c"
PARTS = {
    "rollout": "#0f766e", "engine": "#c2410c", "reward": "#a16207", "pack": "#64748b", "reference": "#7c3aed",
    "forward": "#2563eb", "backward": "#1e40af", "optim": "#94a3b8", "sync": "#db2777", "save": "#475569",
}  # fmt: skip
BINS = 150  # columns of a stacked plot; a run with more steps shows means of bins
POINTS = 400  # steps whose numbers a page carries


@dataclass(frozen=True)
class Plot:
    """A finished plot. svg: a data URL for a page; png: bytes for a file; hover: what stands where, for a pointer.

    hover: left, right: the axes' edges as shares of the picture's width; from, to: the steps at these edges;
    steps: where there are numbers; series: label → a number or None per step.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    hover: dict[str, Any]


def plots(rows: Rows, evaluations: Mapping[str, Mapping[str, Any]] | None = None) -> list[Plot]:
    """Every plot the metrics have something for."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # pyright: ignore[reportArgumentType]
        sampled = [r for r in rows if "reward" in r or r.get("phase", "grpo") == "grpo"]
        # steps of several stages are numbered through, as their completions and evaluations are
        staged = len({r.get("phase") for r in sampled}) > 1
        grpo = [{**r, "step": number} for number, r in enumerate(sampled, 1)] if staged else sampled
        supervised = [r for r in rows if "reward" not in r and r.get("phase", "grpo") != "grpo"]
        made = [
            _learning(grpo, evaluations or {}),
            _languages(grpo),
            _lengths(grpo),
            _rewards(grpo),
            _engine(grpo),
            _timing(grpo),
            _policy(grpo),
            _supervised(supervised),
        ]
    return [p for p in made if p is not None]


_STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": "#4b5563", "ytick.color": "#4b5563",
    "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.8,
    "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0, "svg.fonttype": "path", "svg.hashsalt": "nsrl", "figure.dpi": 100,
}  # fmt: skip


def series(rows: Rows, key: str) -> tuple[list[float], list[float]]:
    """(steps, values) of a metric where it was logged."""
    pairs = [(float(r["step"]), float(r[key])) for r in rows if isinstance(r.get(key), int | float)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Running median, then running mean, over `window` values around each; at the ends over those that are there.

    The median keeps one outlier from spreading over the window, the mean rounds the median's steps.
    """
    half = window // 2
    around = lambda v, of: [of(v[max(0, i - half) : i + half + 1]) for i in range(len(v))]
    return around(around(list(values), median), fmean)


def binned(
    x: Sequence[float], stack: Sequence[Sequence[float]], most: int = BINS
) -> tuple[list[float], list[list[float]]]:
    """Edges and means of bins of equal numbers of steps, at most `most` of them; one step each where that is enough.

    Nothing is smoothed across bins, so a stack keeps its sum and an outlier its place. Returns one edge more than bins.
    """
    per = max(1, -(-len(x) // most))
    starts = range(0, len(x), per)
    edges = [x[i] - 0.5 for i in starts] + [x[-1] + 0.5]
    return edges, [[fmean(y[i : i + per]) for i in starts] for y in stack]


class _Canvas:
    """A figure with one or more axes over the same steps; remembers what it draws for the pointer."""

    def __init__(self, height: float = 2.9, rows: int = 1) -> None:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        self.figure = Figure(figsize=(5.6, height), layout="constrained")
        self.all = list(self.figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
        self.axes = self.all[0]
        self.all[-1].set_xlabel("step")
        for axes in self.all:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.margins(x=0.01)
        self.drawn: dict[str, dict[float, float]] = {}

    def remember(self, label: str, x: Sequence[float], y: Sequence[float]) -> None:
        self.drawn.setdefault(label, {}).update(zip(x, y))

    def curve(
        self, x: Sequence[float], y: Sequence[float], colour: str, label: str, style: str = "-", axes: Any = None
    ) -> None:
        """A metric: its steps as faint points, its running median over them."""
        axes = axes or self.axes
        window = max(1, len(y) // 20)
        mark = {"marker": "o", "markersize": 3.5} if len(y) < 12 else {}
        if window > 1:
            axes.plot(x, y, ".", color=colour, alpha=0.35, markersize=3.4, markeredgewidth=0, zorder=1.5)
        axes.plot(x, smooth(y, window), style, color=colour, label=label, **mark)
        self.remember(label, x, y)

    def stack(self, x: Sequence[float], parts: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> None:
        """Values on top of each other, a column per step (or per bin of steps)."""
        edges, heights = binned(x, list(parts.values()))
        low = [0.0] * (len(edges) - 1)
        for (label, raw), values in zip(parts.items(), heights):
            high = [a + b for a, b in zip(low, values)]
            self.axes.stairs(
                high, edges, baseline=low, fill=True, color=colours[label], alpha=0.9, linewidth=0, label=label
            )
            low = high
            self.remember(label, x, raw)
        self.axes.set_xlim(edges[0], edges[-1])

    def legend_above(self, columns: int, **options: Any) -> None:
        self.figure.legend(
            loc="outside upper center", ncols=columns, columnspacing=1.2, **{"handlelength": 1.4, **options}
        )

    def finish(self, name: str, title: str, caption: str) -> Plot:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        # Figure.savefig lays out and draws twice for each file: half a second of a report, and some reports are of
        # short runs.
        svg, png = io.BytesIO(), io.BytesIO()
        FigureCanvasSVG(self.figure).print_svg(svg, metadata={"Date": None})
        self.figure.set_layout_engine("none")
        self.figure.set_dpi(160)
        FigureCanvasAgg(self.figure).print_png(png)
        url = "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode()
        box, (first, last) = self.axes.get_position(), self.axes.get_xlim()
        steps = sorted({x for values in self.drawn.values() for x in values})
        steps = steps[:: max(1, -(-len(steps) // POINTS))]
        hover = {
            "left": round(box.x0, 4), "right": round(box.x1, 4), "from": first, "to": last, "steps": steps,
            "series": {label: [_short(values.get(x)) for x in steps] for label, values in self.drawn.items()},
        }  # fmt: skip
        return Plot(name, title, caption, url, png.getvalue(), hover)


def _short(value: float | None) -> float | None:
    """Four digits; None for what JSON cannot write."""
    return None if value is None or not abs(value) < float("inf") else float(f"{value:.4g}")


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
    canvas = _Canvas(3.1)
    kx, ky = series(rows, "pass@k")
    if kx:
        canvas.curve(kx, ky, "#94a3b8", "training, any of a group")
    canvas.curve(x, y, ACCENT, "training samples")
    points = [(0.0, evaluations.get("warm_start")), (max(x), evaluations.get("final"))]
    points += [(float(n[5:]), e) for n, e in evaluations.items() if n.startswith("step_") and n[5:].isdigit()]
    first = True
    told = [(at, e) for at, e in points if e and e.get("ci95") and e["accuracy"] is not None]
    for at, e in sorted(told, key=lambda p: p[0]):
        low, high = e["ci95"]
        canvas.axes.errorbar(
            [at], [e["accuracy"]], yerr=[[max(0, e["accuracy"] - low)], [max(0, high - e["accuracy"])]], fmt="D",
            markersize=5.5,
            color=SECOND, capsize=3, label="held-out problems, 95%" if first else None, zorder=5, clip_on=False,
        )  # fmt: skip
        canvas.remember("held-out problems", [at], [e["accuracy"]])
        first = False
    _percent(canvas.axes)
    canvas.axes.legend(loc="lower right")
    return canvas.finish(
        "accuracy",
        "Accuracy",
        "Share of right answers: samples during training, and held-out problems with their 95% interval.",
    )


def _languages(rows: Rows) -> Plot | None:
    keys = {n: f"language/{n}" for n in LANGUAGES}
    rows = [r for r in rows if any(isinstance(r.get(k), int | float) for k in keys.values())]
    found = {n: [float(r.get(k) or 0) for r in rows] for n, k in keys.items()}
    found = {n: y for n, y in found.items() if any(y)}
    if not found:
        return None
    canvas = _Canvas(3.1)
    canvas.stack([float(r["step"]) for r in rows], found, LANGUAGES)
    _percent(canvas.axes)
    canvas.axes.grid(False)
    canvas.legend_above(len(found), handlelength=1)
    return canvas.finish(
        "languages",
        "Languages",
        "What the policy writes. Nothing tells it which language to use: it finds out which one pays.",
    )


def _lengths(rows: Rows) -> Plot | None:
    x, y = series(rows, "completions/mean_length")
    if not x:
        return None
    canvas = _Canvas()
    mx, my = series(rows, "completions/max_length")
    if mx:
        canvas.curve(mx, my, "#94a3b8", "longest of the step")
    canvas.curve(x, y, ACCENT, "mean")
    canvas.axes.set_ylabel("tokens")
    canvas.axes.set_ylim(bottom=0)
    canvas.axes.legend(loc="upper right")
    clipped = series(rows, "completions/clipped_ratio")[1][-max(1, len(x) // 10) :]
    note = f" Cut at the limit in the last tenth: {100 * fmean(clipped):.1f}%." if clipped else ""
    return canvas.finish("lengths", "Output tokens", "Tokens of a completion." + note)


def _rewards(rows: Rows) -> Plot | None:
    x, y = series(rows, "reward")
    if not x:
        return None
    canvas = _Canvas()
    names = sorted({k[8:-5] for r in rows for k in r if k.startswith("rewards/") and k.endswith("/mean")})
    palette = ["#2563eb", "#a16207", "#7c3aed", "#db2777", "#64748b"]
    for i, name in enumerate(names):
        nx, ny = series(rows, f"rewards/{name}/mean")
        if nx:
            canvas.curve(nx, ny, palette[i % len(palette)], name, "--")
    canvas.curve(x, y, ACCENT, "weighted sum")
    sx, sy = series(rows, "reward_std")
    if len(sx) == len(x):
        window = max(1, len(y) // 20)
        mean, std = smooth(y, window), smooth(sy, window)
        canvas.axes.fill_between(
            x,
            [m - s for m, s in zip(mean, std)],
            [m + s for m, s in zip(mean, std)],
            color=ACCENT,
            alpha=0.12,
            linewidth=0,
        )
    canvas.legend_above(min(4, 1 + len(names)))
    return canvas.finish(
        "reward",
        "Reward",
        "Weighted reward with the spread within groups (band), and its components before weighting (dashed).",
    )


def _engine(rows: Rows) -> Plot | None:
    keys = {s.value: f"engine/{s.value}_frac" for s in Status}
    rows = [r for r in rows if any(isinstance(r.get(k), int | float) for k in keys.values())]
    found = {n: [float(r.get(k) or 0) for r in rows] for n, k in keys.items()}
    found = {n: found[n] for n in sorted(found, key=lambda n: -sum(found[n])) if any(found[n])}
    if not found:
        return None
    canvas = _Canvas()
    colours = {"ok": ACCENT, "message": "#a16207", "unevaluated": "#64748b", "syntax": BAD, "timeout": "#7c3aed"}
    spare = iter(["#2563eb", "#db2777", "#475569", "#65a30d", "#0891b2", "#9333ea"])
    canvas.stack([float(r["step"]) for r in rows], found, {n: colours.get(n) or next(spare, "#111827") for n in found})
    _percent(canvas.axes)
    canvas.axes.grid(False)
    canvas.legend_above(min(5, len(found)), handlelength=1)
    return canvas.finish("engine", "How programs end", "Share of programs by the engine's status.")


def _policy(rows: Rows) -> Plot | None:
    """One axis per unit: a gradient norm, nats and shares have no scale in common."""
    units = {
        "norm": {"grad_norm": ("gradient norm, before clipping", SECOND, "-")},
        "nats": {"entropy": ("entropy", "#2563eb", "-"), "kl": ("KL to the reference", "#7c3aed", "-")},
        "share": {
            "frac_reward_zero_std": ("groups without spread", "#64748b", "-"),
            "clip_ratio/region_mean": ("clipped tokens", "#a16207", "-"),
        },
    }
    found = {}
    for unit, keys in units.items():
        curves = [(*series(rows, key), *look) for key, look in keys.items()]
        if curves := [c for c in curves if any(c[1])]:
            found[unit] = curves
    if not found:
        return None
    canvas = _Canvas(1.0 + 0.85 * len(found), len(found))
    for axes, (unit, curves) in zip(canvas.all, found.items()):
        for x, y, label, colour, style in curves:
            canvas.curve(x, y, colour, label, style, axes)
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        if unit == "share":
            _percent(axes, max(0.1, min(1.0, 1.1 * max(max(y) for _, y, *_ in curves))))
    canvas.legend_above(3)
    return canvas.finish(
        "policy",
        "The update",
        "A group whose answers are all right or all wrong has no spread and gives no gradient; a loss near 0 is "
        "normal, because advantages of a group sum to 0.",
    )


def _timing(rows: Rows) -> Plot | None:
    found = {n: [float(r.get(f"timing_s/{n}") or 0) for r in rows] for n in PARTS}
    found = {n: y for n, y in found.items() if any(y)}
    if not found:
        return None
    canvas = _Canvas()
    x = [float(r["step"]) for r in rows]
    canvas.stack(x, found, PARTS)
    totals = [sum(column) for column in zip(*found.values())]
    usual = 3 * median(totals)
    beyond = sum(t > usual for t in totals)
    canvas.axes.set_ylim(0, usual if beyond else None)
    canvas.axes.set_ylabel("seconds per step")
    canvas.legend_above(5, handlelength=1)
    note = (
        f" {beyond} of {len(totals)} steps took longer than the picture is high (up to {max(totals):.1f} s)."
        if beyond
        else ""
    )
    return canvas.finish("timing", "Where the time goes", "Seconds of a step by room." + note)


def _supervised(rows: Rows) -> Plot | None:
    canvas = _Canvas(3.5)
    at = 0
    colours = {"reading": "#64748b", "warm_start": ACCENT, "extra": SECOND}
    for phase in dict.fromkeys(str(r["phase"]) for r in rows):
        y = series([r for r in rows if r["phase"] == phase], "loss")[1]
        if y:
            canvas.curve(
                [float(at + i) for i in range(1, len(y) + 1)], y, colours.get(phase, "#2563eb"), phase.replace("_", " ")
            )
            at += len(y)
    if not at:
        return None
    canvas.axes.set_ylabel("cross-entropy (nats)")
    canvas.axes.set_yscale("log")
    _plain_ticks(canvas.axes)
    canvas.axes.legend(loc="upper right")
    return canvas.finish("warm_start", "Supervised steps", "Loss on demonstrations; the reward plays no part in it.")
