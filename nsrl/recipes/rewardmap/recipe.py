"""RewardMap: R = W (format + correct + 0.5 details), W = 1, 1.2 or 1.5 by the map, and 0.5 more for a change.

arXiv 2510.02240, section 4.2, and reason_map.py of its code. W is the same for a whole group, so that it cancels where
a group's spread is divided out: scale_rewards=none keeps it."""

MAPS = {"easy": 1.0, "middle": 1.2, "hard": 1.5}


def difficulty(batch):
    """W, the same for all of a group."""
    rows = [problem.columns for problem in batch.problems]
    return [MAPS[row.get("map_difficulty", "easy")] + 0.5 * (int(row.get("transfers") or 0) > 0) for row in rows]


def details(batch):
    """The share of the route's stations that the text names; None where a row has none."""
    out = []
    for problem, text in zip(batch.problems, batch.completions):
        stops = problem.columns.get("stops") or []
        out.append(sum(str(stop).lower() in text.lower() for stop in stops) / len(stops) if stops else None)
    return out


def weighed(components, batch):
    """W times what a completion is paid."""
    at = {name: k for k, name in enumerate(batch.names)}
    part = lambda row, name: row[at[name]] if row[at[name]] == row[at[name]] else 0.0
    paid = lambda row: part(row, "format") + part(row, "correct") + 0.5 * part(row, "details")
    return [part(row, "difficulty") * paid(row) for row in components]
