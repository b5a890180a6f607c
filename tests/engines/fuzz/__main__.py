"""python -m tests.engines.fuzz [--kind solve] [--cases 2000] [--seed 7] [--case 12] [--show]: the long mode, a
table."""

import argparse
import random
import time

from nsrl.engines import EnginePool
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG, kinds, run


def main() -> int:
    every = kinds()
    parser = argparse.ArgumentParser(
        prog="python -m tests.engines.fuzz", description="Random programs against oracles."
    )
    parser.add_argument("--kind", default="", help="kinds whose name starts so (default: all): " + ", ".join(every))
    parser.add_argument("--cases", type=int, default=200, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one, printed")
    parser.add_argument("--case", type=int, default=None, help="only the case of this number")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="print the unevaluated cases too")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    numbers = range(args.cases) if args.case is None else range(args.case, args.case + 1)
    chosen = {name: kind for name, kind in every.items() if name.startswith(args.kind)}
    if not chosen:
        parser.error(f"no kind starts with {args.kind!r}; there are {', '.join(every)}")
    wrong = 0
    print(
        f"{'kind':28} {'cases':>6} {'right':>6} {'wrong ok':>9} {'unevaluated':>12} {'seconds':>8}   seed {seed}",
        flush=True,
    )
    with EnginePool(workers=args.workers, cache=0) as pool:
        for name, kind in chosen.items():
            started = time.perf_counter()
            tally = run(pool, name, kind, seed, numbers)
            v = tally.verdicts
            print(f"{name:28} {tally.cases:6} {v[RIGHT]:6} {v[WRONG]:9} {v[UNEVALUATED]:12} {time.perf_counter() - started:8.1f}   "
                  + ", ".join(f"{k} {n}" for k, n in tally.statuses.most_common()), flush=True)  # fmt: skip
            print(
                *tally.failures,
                *(tally.silent if args.show else ()),
                sep="\n",
                end="\n" if tally.failures or args.show else "",
            )
            wrong += v[WRONG]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
