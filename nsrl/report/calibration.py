"""Whether a stated confidence is to be trusted: ECE, Brier score and AUROC of records with a span `confidence`.

A record is what the table takes, with the column `span/confidence` (`spans.confidence` of the configuration). Where no
record has it, nothing is said. Stdlib only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

CONFIDENCE = "span/confidence"
BINS = 10
_EDGES = [number / BINS for number in range(1, BINS)]
_STATED = re.compile(r"\s*(\d{1,3}(?:\.\d{1,12})?|\.\d{1,12})\s*(\\?%)?\s*")


def confidence(text: str) -> float | None:
    """The number that a span states, 0 to 1 or in percent (`0.7`, `70%`); None for anything else."""
    found = _STATED.fullmatch(text[:100])
    if found is None:
        return None
    value = float(found[1]) / (100 if found[2] else 1)
    return value if value <= 1 else None


def calibration(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Of completions that were scored and state a confidence; None where no record has the span.

    stated: their share of those scored; confidence: the mean; ece: over 10 equal bins, (k/10, (k+1)/10] with 0 in the
    first, the mean over completions of |accuracy - confidence| of their bin (Guo et al. 2017, eq. 3); brier: mean of
    (confidence - right)^2; auroc: the chance that a right one states more than a wrong one, ties half (None where all
    are alike). Numbers are 0 to 1, None of nothing.
    """
    if not any(CONFIDENCE in record for record in records):
        return None
    scored = [
        (confidence(str(r.get(CONFIDENCE) or "")), bool(r["correct"])) for r in records if r["correct"] is not None
    ]
    pairs = [(value, right) for value, right in scored if value is not None]
    if not pairs:
        nothing = dict.fromkeys(("confidence", "ece", "brier", "auroc"))
        return {"stated": 0.0 if scored else None, **nothing}
    gaps = [0.0] * BINS
    for value, right in pairs:
        gaps[bisect_left(_EDGES, value)] += right - value
    return {
        "stated": len(pairs) / len(scored),
        "confidence": sum(value for value, _ in pairs) / len(pairs),
        "ece": sum(map(abs, gaps)) / len(pairs),
        "brier": sum((value - right) ** 2 for value, right in pairs) / len(pairs),
        "auroc": _auroc(pairs),
    }


def _auroc(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """By ranks: (sum of the ranks of right ones - r (r + 1) / 2) / (r w), equal values with their mean rank."""
    right = sum(is_right for _, is_right in pairs)
    wrong = len(pairs) - right
    if not right or not wrong:
        return None
    values = sorted(value for value, _ in pairs)
    ranks: dict[float, float] = {}
    for rank, value in enumerate(values, 1):
        ranks.setdefault(value, rank)
    last = {value: rank for rank, value in enumerate(values, 1)}
    total = sum((ranks[value] + last[value]) / 2 for value, is_right in pairs if is_right)
    return (total - right * (right + 1) / 2) / (right * wrong)


def calibration_lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of the table that have `calibration`, as texts, headings first."""
    lines = [["Category", "Stated %", "Confidence %", "ECE", "Brier", "AUROC"]]
    for row in rows:
        found = row.get("calibration") or {}
        shares = [found.get("stated"), found.get("confidence")]
        numbers = [found.get(name) for name in ("ece", "brier", "auroc")]
        lines.append([
            str(row["category"]), *("–" if n is None else f"{100 * n:.1f}" for n in shares),
            *("–" if n is None else f"{n:.3f}" for n in numbers),
        ])  # fmt: skip
    return lines
