"""The answer check as a command.

    python -m nsrl.rewards check PREDICTION GOLD [OPTION ...]     one verdict, as JSON
    python -m nsrl.rewards agreement FILE.jsonl                   agreement with labels, as JSON
    python -m nsrl.rewards attack GOLDS.jsonl | --generate N      the constant answer that pays most; exit code 1 when it
                                                                  pays more than the most frequent gold and one point
Rows for agreement: prediction, gold, options (may be absent), label (true, false); disagreements go to standard error.
Rows for attack: gold or answer, options (may be absent). `attack --help` names its options.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from nsrl.errors import UserError, program
from nsrl.rewards.answer import check

_USAGE = "usage: {} check PREDICTION GOLD [OPTION ...] | agreement FILE.jsonl | attack GOLDS.jsonl"


def agreement(path: Path) -> dict[str, object]:
    """How often the check agrees with the labels of a file; rows without a usable gold answer are counted apart."""
    if not path.is_file():
        raise UserError(f"agreement needs a file of JSON lines; there is no {str(path)!r}")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seconds = 0.0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prediction, gold, label = row["prediction"], row["gold"], bool(row["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"line {number} must be JSON with prediction, gold and label; got {error!r}") from None
        start = time.perf_counter()
        verdict = check(prediction, gold, row.get("options"))
        seconds += time.perf_counter() - start
        if verdict.correct is None:
            counts["unscored"] += 1
        elif verdict.correct == label:
            counts["agree"] += 1
        else:
            counts["accepted_but_labelled_wrong" if verdict.correct else "rejected_but_labelled_right"] += 1
            reasons[verdict.reason] += 1
            shown = {"line": number, "verdict": verdict.correct, "reason": verdict.reason, "gold": gold, "prediction": str(prediction)[-200:]}
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
    if len(argv) >= 3 and argv[0] == "check":
        verdict = check(argv[1], argv[2], argv[3:] or None)
        print(json.dumps(verdict._asdict()))
        return 0
    if len(argv) == 2 and argv[0] == "agreement":
        try:
            print(json.dumps(agreement(Path(argv[1]))))
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0
    if argv[:1] == ["attack"]:
        from nsrl.rewards import attack

        try:
            return attack.main(argv[1:])
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    said = program("rewards")
    asked = argv in (["-h"], ["--help"])
    print(__doc__.replace("python -m nsrl.rewards", said) if asked else _USAGE.format(said), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
