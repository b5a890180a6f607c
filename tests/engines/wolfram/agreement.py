"""Prints how the engine agrees with the development set, by folder: `python -m tests.engines.wolfram.agreement`."""

import json
from pathlib import Path

from nsrl.engines.wolfram import evaluate


def main() -> None:
    """One row per folder of devset/."""
    total = right = 0
    print("| folder | programs | agree |\n|---|---|---|")
    for path in sorted((Path(__file__).parent / "devset").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        hits = sum(evaluate(r["program"]).text == r["expected"] for r in rows)
        total, right = total + len(rows), right + hits
        print(f"| {path.stem} | {len(rows)} | {100 * hits / len(rows):.1f}% |")
    print(f"| all | {total} | {100 * right / total:.1f}% |")


if __name__ == "__main__":
    main()
