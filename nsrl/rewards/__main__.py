"""The answer check as a command.

    python -m nsrl.rewards check PREDICTION GOLD [OPTION ...]     one verdict, as JSON
    python -m nsrl.rewards agreement FILE.jsonl                   agreement with labels, as JSON
    python -m nsrl.rewards attack GOLDS.jsonl | --generate N      the constant answer that pays most; exit code 1 when
    it
                                                                  pays more than the most frequent gold and one point
Rows: gold or answer, options (may be absent) and for agreement prediction and label (true, false), whose disagreements
go to standard error. `attack --help` names its options.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from nsrl.answers.checker import check
from nsrl.answers.rows import read
from nsrl.errors import UserError, program

_USAGE = "usage: {} check PREDICTION GOLD [OPTION ...] | agreement FILE.jsonl | attack GOLDS.jsonl"


def agreement(path: Path) -> dict[str, object]:
    """How often the check agrees with the labels of a file; rows without a usable gold answer are counted apart."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seconds = 0.0
    for number, (gold, options, prediction, label) in read(path, "agreement", labelled=True):
        start = time.perf_counter()
        verdict = check(prediction, gold, options)
        seconds += time.perf_counter() - start
        if verdict.correct is None:
            counts["unscored"] += 1
        elif verdict.correct == label:
            counts["agree"] += 1
        else:
            counts["accepted_but_labelled_wrong" if verdict.correct else "rejected_but_labelled_right"] += 1
            reasons[verdict.reason] += 1
            shown = {
                "line": number,
                "verdict": verdict.correct,
                "reason": verdict.reason,
                "gold": gold,
                "prediction": prediction[-200:],
            }
            print(json.dumps(shown, ensure_ascii=False), file=sys.stderr)
    scored = sum(counts.values()) - counts["unscored"]
    return {
        "rows": sum(counts.values()),
        "agreement": counts["agree"] / scored if scored else None,
        **counts,
        "disagreement_reasons": dict(reasons.most_common()),
        "per_second": round(sum(counts.values()) / seconds) if seconds else None,
    }


def main(argv: list[str]) -> int:
    """The command. Exit code 2 for bad input."""
    asked = argv[-1:] in (["-h"], ["--help"]) and (len(argv) == 1 or argv[:-1] in (["check"], ["agreement"]))
    if len(argv) >= 3 and argv[0] == "check":
        verdict = check(argv[1], argv[2], argv[3:] or None)
        print(json.dumps(verdict._asdict()))
        return 0
    if len(argv) == 2 and argv[0] == "agreement" and not asked:
        try:
            print(json.dumps(agreement(Path(argv[1]))))
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0
    if argv[:1] == ["attack"]:
        from nsrl.answers import attack

        try:
            return attack.main(argv[1:])
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    said = program("rewards")
    print(
        (__doc__ or "").replace("python -m nsrl.rewards", said) if asked else _USAGE.format(said),
        file=sys.stdout if asked else sys.stderr,
    )
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
