"""The page of the gallery: how it is measured, a table with a line for each row, and a section for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsrl.gallery.finished import decides
from nsrl.gallery.plan import HELD_OUT, SAMPLES
from nsrl.gallery.results import MATTERS, MEASURES
from nsrl.gallery.row import FINAL, Row
from nsrl.report.arms import markdown_of
from nsrl.trainer.metrics import clock

HEAD = """# The gallery: which methods matter on the small model

    make gallery                                            # all rows; begun again, it does what is missing
    make gallery ARGS="rows=[noise,vote]"                   # some of them
    nsrl gallery dry=true                                   # what would be run, and for how long
    nsrl gallery 'rows=[own.yaml]'                          # a row of your own

Written by `make gallery` from the files of [nsrl/gallery/rows](../nsrl/gallery/rows): do not edit.

**Protocol.** All arms of a row begin with the same warm start of their seed, and have the same problems. Three seeds:
of the warm start, of what is sampled, and of {held_out} held-out problems each, {samples} samples per problem. A
difference is on the same problems; its 95% interval is a bootstrap over problems, then seeds. It *matters* only if
all three seeds agree in sign and the interval excludes none; else *no difference found*. The first arm is what the
others are compared with; one comparison of a row, named in its file, is its verdict, and the others stand below its
picture. Predictions stood in the files before anything was run.

**What it is worth.** A model of 0.7 million parameters, pictures of a few cells, minutes of training: a row says that
a method does what it says in a place where there is something to gain, or that nothing of it could be seen there.
Nothing is tuned: published coefficients, one setting each. Of {rows} comparisons one or two may look like a
difference by chance; the row `alike` compares a run with itself.
"""
OWN = """
## A row of your own

```yaml
question: What is asked?
prediction: What will come out, and why.
expects: more                     # more, less or none: of the second arm against the first
warm: languages                   # a name of nsrl/gallery/warm.yaml, or {keys: {...}, seconds: 150}
run: {max_steps: 60}              # keys of nsrl train, of every arm
arms:
  plain: {seconds: 70}            # on a quiet core, about
  papo: {seconds: 90, keys: {recipe: papo}}
```

Further keys: `source`, `recipes` (names that it is about), `decides` (the arm whose difference from the first is the
verdict; the second), `measure` (of the row or an arm: accuracy, greedy, vote, pass, tokens), `tests` (`{name: keys of
nsrl eval}`: the models that the arms end with are measured on these too), `on` (which of them count, the first
decides; `held-out problems` are the run's own), and of an arm `harvest` (keys of `nsrl harvest`: it learns from what
the warm start is right about). Every part stands in a folder named by its keys and the files of its recipe: rows
share parts, and a row that is changed is run anew.
"""


def page(rows: Sequence[Row], found: Mapping[str, dict[str, Any]]) -> str:
    """docs/gallery.md. found: the rows that were run, by name; pictures are in gallery/."""
    told = {row.name: found[row.name] for row in rows if row.name in found}
    matter = [name for name, one in told.items() if one["verdict"] == MATTERS]
    right = sum(one["expects"] == one["came"] for one in told.values())
    so_far = (
        f"**{len(told)} of {len(rows)} rows were run; {len(matter)} matter**{': ' if matter else ''}"
        f"{', '.join(matter)}. {right} of {len(told)} came as predicted."
        if told else "No row has been run yet."
    )  # fmt: skip
    text = [
        HEAD.format(held_out=HELD_OUT, samples=SAMPLES, rows=len(rows)),
        so_far,
        "",
        markdown_of(_table(rows, told)),
    ]
    text += [section(row, told.get(row.name)) for row in rows]
    return "\n".join(text) + OWN


def _table(rows: Sequence[Row], told: Mapping[str, dict[str, Any]]) -> list[list[str]]:
    lines = [["row", "what is compared", "first arm", "second", "difference [95%]", "by seed", "verdict", "predicted"]]
    for row in sorted(rows, key=lambda row: (row.name not in told, row.name)):
        name, arms = f"[{row.name}](#{row.name.replace('_', '-')})", f"{row.decides} against {row.against}"
        one = told.get(row.name)
        pair = one and decides(row, one["pairs"])
        if one is None or pair is None:
            lines.append(
                [name, arms, "–", "–", "–", "–", "not run yet" if one is None else one["verdict"], row.expects]
            )
            continue
        means = [_mean(one, row, arm, row.on[0], row.arms[arm].measure) for arm in (row.against, row.decides)]
        verdict = f"**{pair['verdict']}**" if pair["verdict"] == MATTERS else pair["verdict"]
        came = row.expects if one["came"] == row.expects else f"{row.expects}, came {one['came']}"
        lines.append([name, arms, *means, difference(pair), by_seed(pair), verdict, came])
    return lines


def section(row: Row, one: Mapping[str, Any] | None) -> str:
    """A row's section."""
    about = f" Recipes: {', '.join(row.recipes)}." if row.recipes else ""
    out = [f"## {row.name.replace('_', ' ')}", "", f"**{row.question}** {row.source}{about}", "",
           f"Predicted: {row.prediction}", ""]  # fmt: skip
    if one is not None:
        pair = decides(row, one["pairs"])
        if pair is not None:
            out += [f"Result: {sentence(row, one, pair)}", ""]
        out += [f"![{row.name}](gallery/{row.name}.svg)", "", markdown_of(_arms(row, one), left=1 + (len(row.on) > 1))]
    out += [f'`make gallery ARGS="rows=[{row.name}]"`: {_cost(row)}.', ""]
    return "\n".join(out)


def sentence(row: Row, one: Mapping[str, Any], pair: Mapping[str, Any]) -> str:
    """What came of a row, in words."""
    values = [_mean(one, row, arm, row.on[0], row.arms[arm].measure) for arm in (row.decides, row.against)]
    titles = [MEASURES[row.arms[arm].measure].title for arm in (row.decides, row.against)]
    where = f" on {row.on[0]}" if row.on[0] != FINAL else ""
    what = titles[0] if titles[0] == titles[1] else f"{titles[0]} against {titles[1]}"
    return (
        f"{what}{where}: {row.decides} {values[0]}, {row.against} {values[1]}, {difference(pair)} (by seed "
        f"{by_seed(pair)}) on {pair['problems']} problems of {pair['seeds']} seeds: **{pair['verdict']}**."
    )


def difference(pair: Mapping[str, Any]) -> str:
    """A comparison and its interval: points, or per cent more or less of what is a ratio."""
    if pair["ratio"]:
        shown = [f"{100 * (pair[name] - 1):+.0f}" for name in ("value", "low", "high")]
        return f"{shown[0]}% [{shown[1]}, {shown[2]}]"
    shown = [f"{100 * pair[name]:+.1f}" for name in ("value", "low", "high")]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def by_seed(pair: Mapping[str, Any]) -> str:
    """The same, seed by seed."""
    less = 1.0 if pair["ratio"] else 0.0
    digits = 0 if pair["ratio"] else 1
    return ", ".join("–" if value is None else f"{100 * (value - less):+.{digits}f}" for value in pair["by_seed"])


def _arms(row: Row, one: Mapping[str, Any]) -> list[list[str]]:
    """Every arm, and how it stands to the first one."""
    several = len(row.on) > 1
    lines = [
        ["arm", *(["on"] if several else []), "before %", "right %", "greedy %", "majority %", "tokens", "points [95%]",
         "tokens [95%]", "learning s"]
    ]  # fmt: skip
    for name in row.arms:
        for on in row.on:
            pairs = {p["measure"]: p for p in one["pairs"] if (p["arm"], p["on"]) == (name, on)}
            told = lambda measure, pairs=pairs: difference(pairs[measure]) if measure in pairs else "–"
            shown = [_mean(one, row, name, on, measure) for measure in ("accuracy", "greedy", "vote", "tokens")]
            before = [value for value in one["arms"][name]["before"] if value is not None]
            lines.append([
                name, *([on] if several else []),
                f"{100 * sum(before) / len(before):.1f}" if before and on == FINAL else "–",
                *(text.removesuffix("%") for text in shown), told("accuracy"), told("tokens"),
                _spent(one["arms"][name]),
            ])  # fmt: skip
    return lines


def _spent(arm: Mapping[str, Any]) -> str:
    if arm["seconds"] is None:
        return "–"
    harvest = arm.get("harvest_s")
    return f"{arm['seconds']:.0f}" + ("" if harvest is None else f" and {harvest:.0f} of harvest")


def _mean(one: Mapping[str, Any], row: Row, arm: str, on: str, measure: str) -> str:
    seeds = [value for value in one["arms"][arm]["on"][on][measure] if value is not None]
    if not seeds:
        return "–"
    mean = sum(seeds) / len(seeds)
    return f"{mean:.1f}" if MEASURES[measure].ratio else f"{100 * mean:.1f}%"


def _cost(row: Row) -> str:
    arms = " + ".join(f"{arm.seconds:.0f}" for arm in row.arms.values())
    whole = 3 * (row.warm.seconds + sum(arm.seconds for arm in row.arms.values()))
    return (
        f"{arms} s for the arms of a seed and {row.warm.seconds:.0f} for its warm start, on a quiet core; alone about "
        f"{clock(whole / 2)} on two"
    )
