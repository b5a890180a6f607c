"""ViSurf: the gold y joins the group of rollouts o; A = (r - mean) / std over all G + 1.

Its reward control: r(y) := mean r(o) where max r(o) >= r(y), so that the gold pushes only where no rollout is as good.
Source: arXiv 2510.10606, the smoothing of section 3.3.
"""


def control(components, batch):
    """Totals as weighted sums, those of golds controlled."""
    totals = [sum((w * v for w, v in zip(batch.weights, row) if v == v), 0.0) for row in components]
    for rows in batch.groups():
        own = [totals[i] for i in rows if not batch.given[i]]
        for i in rows:
            if batch.given[i] and max(own) >= totals[i]:
                totals[i] = sum(own) / len(own)
    return totals
