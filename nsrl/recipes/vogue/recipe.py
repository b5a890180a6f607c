"""VOGUE's bonus for visual uncertainty: A += min(alpha U, |A| / beta), U the symmetric KL of raw and noisy pictures.

U_t = (k3(raw, noisy) + k3(noisy, raw)) / 2 on the sampled token: an estimate where VOGUE sums over the vocabulary.
alpha 0.5 and beta 2 are ours: the bonus is at most half of |A|, so that no sign changes.
Source: arXiv 2510.01444. There half of each group is sampled under noise and only that half gets the bonus, a share
that is annealed, with an entropy bonus (`entropy_coef`) beside it; here every completion saw the raw picture.
"""

ALPHA, BETA = 0.5, 2.0


def bonus(step):
    """Add the bonus of each token."""
    uncertainty = (step.k3("noisy", "raw") + step.k3("raw", "noisy")) / 2
    step.advantage_N += (ALPHA * uncertainty).minimum(step.advantage_N.abs() / BETA)
    step.metrics["uncertainty"] = float(uncertainty.mean())
