"""Train and test without a shared picture, whatever the source; and the problems to evaluate on. Knows no file
formats."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

from nsrl.data import tables
from nsrl.data.dedup import content_key, picture_keys, without
from nsrl.data.names import TEST_NAMES, same_split
from nsrl.data.problems import OnRows, Problems, load
from nsrl.data.sources import format_of, is_made, source_and_path
from nsrl.errors import UserError
from nsrl.types import Problem

log = logging.getLogger("nsrl.data")
OTHERS = 0.1  # held out, of a data set without a test split of which no share is known
SPLIT_SEED = 42  # splits do not depend on a run's seed


def load_problems(
    config: Any, seed: int = 0, progress: OnRows | None = None, refused: Set[str] = frozenset()
) -> tuple[Problems, Problems]:
    """(train, test) of a data configuration (source, path, split, eval_size); no picture of test occurs in train.

    A data set with its own test split uses that; of others a share is held out (`Format.held_out`). At most
    eval_size test problems. The split depends on the data alone; `seed` is taken for symmetry with `shapes`.
    refused: picture keys that no test problem may have, for the model has learned from them before.
    """
    source, path, size = config.source, config.path, config.eval_size
    format = format_of(source)
    subset, names = getattr(config, "subset", None), getattr(config, "columns", None)
    answered = getattr(config, "answered", True)

    def read(split: str) -> Problems:
        return load(source, path, split, answered=answered, subset=subset, names=names, progress=progress)

    own = tables.test_split(str(path), subset) if format.splits and path is not None else None
    train = read(config.split)
    if (own is None or same_split(own, config.split)) and not (held := _other_test(train)):
        return split_off(train, size, format.held_out or OTHERS, refused)
    test = held if own is None or same_split(own, config.split) else read(own)
    test.items = [p for p in test if refused.isdisjoint(picture_keys(p))]
    if not test.items and refused:
        raise UserError(
            f"data.path {test.name!r}: the model was trained on every problem of the test set before, so none can be "
            f"held out"
        )
    kept = without(train, test)
    if len(kept) < len(train):
        log.warning(
            "%s: %d training problems left out because their pictures (or, without one, their questions) are in the "
            "test set",
            train.name, len(train) - len(kept),
        )  # fmt: skip
    if not kept:
        raise UserError(
            f"data.path {train.name!r}: every training problem has a picture of the test set, so none is left"
        )
    train.items, test.items = kept, test.items[:size]
    return train, test


def _other_test(problems: Problems) -> Problems | None:
    """The test split that a column of the data set sets apart from these problems, if one does."""
    ranked = [label for label in TEST_NAMES if label in problems.others]
    return (
        Problems(problems.others[ranked[0]], [], problems.name, f"rows whose split is {ranked[0]}") if ranked else None
    )


def split_off(whole: Problems, size: int, share: float, refused: Set[str] = frozenset()) -> tuple[Problems, Problems]:
    """(train, test): about `share` of the problems, at most `size` and at least one, held out with all that share a
    picture.

    refused: keys of pictures that no test problem may have. Raises `UserError` where there is but one problem, or all
    hang together by their pictures, or have all been refused.
    """
    if len(whole) < 2:
        raise UserError(
            f"data.path {whole.name!r}: at least 2 usable problems are needed, one to learn from and one held out to "
            f"measure with; got {len(whole)}"
        )
    count = min(size, max(1, round(share * len(whole))))
    chosen = _held_out_of_rest(whole, count, refused) if refused else held_out(whole, count)
    test = [p for i, p in enumerate(whole) if i in chosen]
    if len(test) != count:
        log.warning(
            "%s: problems with a picture in common stay together, so that instead of %d problems %d are held out%s",
            whole.name, count, min(count, len(test)),
            f" and {len(test) - count} more left out of training" if len(test) > count else "",
        )  # fmt: skip
    train = Problems([p for i, p in enumerate(whole) if i not in chosen], whole.skipped, whole.name, whole.origin)
    return train, Problems(test[:count], [], whole.name, f"{min(count, len(test))} problems held out of it")


def held_out(problems: Problems, count: int) -> set[int]:
    """Indices of `count` problems or a few less, in whole families and in proportion to the categories; always the
    same.

    A family is what hangs together by pictures (without one, by the question). Those go first that evenly spaced picks
    in a shuffled order sorted by category fall into; one is taken if most of it is still wanted by its category, then
    if some is, then if it fits at all. Where all are larger than `count`, it is the smallest.
    """
    if count == 0:
        return set()
    families = _families(problems)
    if len(families) == 1:
        raise UserError(
            f"data.path {problems.name!r}: its {len(problems)} problems all hang together by the pictures they "
            f"share, so "
            "none can be held out; give the data set a test split with pictures of its own"
        )
    order = list(range(len(problems)))
    random.Random(SPLIT_SEED).shuffle(order)
    by_category = sorted(order, key=lambda i: problems[i].category)
    picks = [by_category[int((k + 0.5) * len(order) / count)] for k in range(count)]
    wanted = Counter(problems[i].category for i in picks)
    family_of = {i: number for number, family in enumerate(families) for i in family}
    queue = list(dict.fromkeys(family_of[i] for i in (*picks, *order)))
    chosen: set[int] = set()
    for least in (0.5, 0.0, -1.0):
        left = []
        for number in queue:
            members = Counter(problems[i].category for i in families[number])
            size = len(families[number])
            useful = sum(min(n, max(0, wanted[c])) for c, n in members.items())
            if size > count - len(chosen) or useful <= least * size:
                left.append(number)
                continue
            chosen |= set(families[number])
            wanted -= members
        queue = left
    return chosen or set(min(families, key=len))


def _held_out_of_rest(problems: Problems, count: int, refused: Set[str]) -> set[int]:
    """As `held_out`, of the families without a refused picture; all of them where they are no more than `count`
    problems."""
    known = [not refused.isdisjoint(picture_keys(p)) for p in problems]
    rest = sorted(i for family in _families(problems) if not any(known[i] for i in family) for i in family)
    if count and not rest:
        raise UserError(
            f"data.path {problems.name!r}: the model was trained on all of its problems before, so none can be held out"
        )
    if len(rest) <= count:
        return set(rest)
    return {rest[i] for i in held_out(Problems([problems[i] for i in rest], [], problems.name), count)}


def _families(problems: Sequence[Problem]) -> list[list[int]]:
    """Indices grouped so that no key occurs in two groups (union-find), in order of their first members."""
    parent = list(range(len(problems)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first: dict[str, int] = {}
    for index, problem in enumerate(problems):
        for key in picture_keys(problem):
            a, b = root(first.setdefault(key, index)), root(index)
            parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = {}
    for index in range(len(problems)):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())


def open_source(
    spec: str, level: int = 1, seed: int = 0, size: int | None = None, answered: bool = True
) -> Sequence[Problem]:
    """Problems to evaluate on: `shapes` and others that are made, `mathvision:FOLDER` and the other benchmarks,
    `virl39k:FOLDER` (its test share), `hf:PATH`, or a bare path.

    At most `size` of them, each content once; of a benchmark every row, as it is scored. answered: only rows with a
    gold answer that can be read.
    """
    source, path = source_and_path(spec)
    if is_made(source):
        from nsrl.data.made import opened

        return opened(source, level, seed, size or 600).test()
    format = format_of(source)
    if format.held_out is not None:
        return split_off(load(source, path, answered=answered), size or 10**9, format.held_out)[1]
    split = (tables.test_split(path) or "train") if format.splits else "train"
    problems = load(source, path, split, answered=answered)
    problems = _other_test(problems) or problems
    if format.benchmark:
        problems.items = problems.items[:size]
        return problems
    seen: set[str] = set()
    problems.items = [p for p in problems if not ((key := content_key(p)) in seen or seen.add(key))][:size]
    return problems
