"""Triton kernels of `policy_loss`: value, gradient and metrics of one sequence per program, then a fixed-order sum.

They know per-token vectors and offsets; layouts are op.py's. Every length is a run-time number, so nothing is
recompiled when a batch changes shape.
"""

import triton
import triton.language as tl


@triton.jit
def _k3(l):
    """exp(l) - 1 - l without cancellation near 0."""
    series = l * l * (0.5 + l * (1.0 / 6 + l * (1.0 / 24 + l * (1.0 / 120 + l * (1.0 / 720 + l * (1.0 / 5040))))))
    return tl.where(tl.abs(l) < 0.3, series, tl.exp(l) - 1.0 - l)


@triton.jit
def _divergence(logp, other, log_clamp, clamp, KIND: tl.constexpr):
    """(estimate, its derivative by logp); clamps below 0 are off."""
    raw = other - logp
    l = raw
    free = raw == raw
    if log_clamp >= 0:
        free = tl.abs(raw) <= log_clamp
        l = tl.minimum(tl.maximum(raw, -log_clamp), log_clamp)
    if KIND == "k1":
        value = -l
        slope = tl.where(free, 1.0, 0.0)
    elif KIND == "k2":
        value = 0.5 * l * l
        slope = tl.where(free, -l, 0.0)
    else:
        value = _k3(l)
        slope = tl.where(free, -(value + l), 0.0)
    if clamp >= 0:
        slope = tl.where(tl.abs(value) <= clamp, slope, 0.0)
        value = tl.minimum(tl.maximum(value, -clamp), clamp)
    return value, slope


@triton.jit
def _geometric(moved, adv, low, high):
    """(a token's log-ratio, clipped in the direction of its advantage; 1 where it is not clipped). GMPO's."""
    free = tl.where(adv > 0, moved <= high - 1.0, (adv < 0) & (moved >= low - 1.0))
    bounded = tl.where(adv > 0, tl.minimum(moved, high - 1.0), tl.maximum(moved, low - 1.0))
    return tl.where(adv == 0, 0.0, bounded), tl.where(free, 1.0, 0.0)


@triton.jit
def _gamma(log_path, adv, k_pos, k_neg, lambda_pos, lambda_neg):
    """VESPO's weight of the sequence's whole ratio, exp(log_path)."""
    log_path = tl.minimum(tl.maximum(log_path, -18.420680743952367), 20.0)
    power = tl.where(adv >= 0, k_pos, k_neg)
    decay = tl.maximum(tl.where(adv >= 0, lambda_pos, lambda_neg), 1e-4)
    return tl.exp(decay + power * log_path - decay * tl.exp(log_path))


@triton.jit
def _surrogate(
    logp, ratio, adv, gamma, low, high, delta, dual_clip, tau_pos, tau_neg, side_low, side_high,
    LOSS_TYPE: tl.constexpr,
):  # fmt: skip
    """(loss, derivative by the log-ratio, derivative by logp itself). LOSS_TYPE: a name of spec.LOSSES."""
    none = tl.zeros_like(logp)
    if LOSS_TYPE == "reinforce":
        return -adv * logp, none, -adv
    elif LOSS_TYPE == "vespo":
        return -gamma * adv * logp, none, -gamma * adv
    elif LOSS_TYPE == "gmpo":
        return -ratio * adv, -ratio * adv, none
    elif LOSS_TYPE == "cispo":
        weight = tl.minimum(ratio, high)
        return -weight * adv * logp, none, -weight * adv
    elif LOSS_TYPE == "sapo":
        tau = tl.where(adv > 0, tau_pos, tau_neg)
        gate = 1.0 / (1.0 + tl.exp(-tau * (ratio - 1.0)))
        return -gate * 4.0 / tau * adv, -4.0 * gate * (1.0 - gate) * ratio * adv, none
    else:
        bounded = ratio
        bounded_slope = ratio
        if delta >= 0:
            bounded = tl.minimum(ratio, delta)
            bounded_slope = tl.where(ratio <= delta, ratio, 0.0)
        band = tl.minimum(tl.maximum(ratio, low), high)
        outside = (ratio < low) | (ratio > high)
        clipped = band * adv < bounded * adv
        value = tl.where(clipped, band, bounded) * adv
        by_ratio = tl.where(clipped, tl.where(outside, 0.0, ratio), bounded_slope) * adv
        by_logp = none
        if LOSS_TYPE == "gppo":
            side = tl.where(adv > 0, side_high, side_low)
            by_logp = tl.where(clipped & outside, band * adv * side, 0.0)
        if dual_clip >= 0:
            floored = (adv < 0) & (value < dual_clip * adv)
            value = tl.where(floored, dual_clip * adv, value)
            by_ratio = tl.where(floored, 0.0, by_ratio)
            by_logp = tl.where(floored, 0.0, by_logp)
        return -value, -by_ratio, -by_logp


@triton.jit
def objective_kernel(
    logp, adv, mask, offsets, normalizer, entropy_normalizer, old, ref, sampler, entropy, weights, policy_weights,
    drift_weights, nll_weights, extra, g_logp, g_entropy, parts,
    n_tokens, n_seq, low, high, delta, dual_clip, beta, kl_log_clamp, kl_clamp, importance_cap, entropy_coef, nll_coef,
    drift_coef, tau_pos, tau_neg, side_low, side_high, k_pos, k_neg, lambda_pos, lambda_neg, extra_0, extra_1,
    extra_2, extra_3,
    LOSS_TYPE: tl.constexpr, KL: tl.constexpr, IMPORTANCE: tl.constexpr, SEQUENCE_RATIO: tl.constexpr,
    SEQUENCE_CORRECTION: tl.constexpr, KL_TIMES_RATIO: tl.constexpr, PER_SEQUENCE_MEAN: tl.constexpr,
    PER_TOKEN_ADV: tl.constexpr, HAS_MASK: tl.constexpr, HAS_OLD: tl.constexpr, HAS_REF: tl.constexpr,
    HAS_SAMPLER: tl.constexpr, HAS_ENTROPY: tl.constexpr, HAS_WEIGHTS: tl.constexpr,
    HAS_POLICY_WEIGHTS: tl.constexpr, HAS_DRIFT: tl.constexpr, HAS_NLL: tl.constexpr, N_EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One sequence: its share of the loss and of every metric into parts[:, sequence], ∂loss/∂logp into g_logp."""
    seq = tl.program_id(0)
    start = tl.load(offsets + seq).to(tl.int64)
    end = tl.load(offsets + seq + 1).to(tl.int64)
    inv_norm = 1.0 / tl.load(normalizer).to(tl.float32)
    inv_entropy_norm = 1.0 / tl.load(entropy_normalizer).to(tl.float32)

    count, drift, gap_sum, path = 0.0, 0.0, 0.0, 0.0
    for i0 in range(start, end, BLOCK):
        i = i0 + tl.arange(0, BLOCK)
        keep = i < end
        if HAS_MASK:
            keep = keep & (tl.load(mask + i, mask=keep, other=0) != 0)
        count += tl.sum(keep.to(tl.float32), 0)
        if SEQUENCE_RATIO and HAS_OLD:
            moved = tl.load(logp + i, mask=keep, other=0.0) - tl.load(old + i, mask=keep, other=0.0)
            if LOSS_TYPE == "gmpo":
                side = tl.load(adv + (i if PER_TOKEN_ADV else i * 0 + seq), mask=keep, other=0.0)
                moved, _ = _geometric(moved, side, low, high)
            drift += tl.sum(moved, 0)
        if LOSS_TYPE == "vespo":
            start_logp = tl.load(logp + i, mask=keep, other=0.0)
            if HAS_OLD:
                moved = start_logp - tl.load(old + i, mask=keep, other=0.0)
                path += tl.sum(tl.minimum(tl.maximum(moved, -20.0), 20.0), 0)
                start_logp -= moved
            if HAS_SAMPLER and IMPORTANCE != "none":
                apart = start_logp - tl.load(sampler + i, mask=keep, other=0.0)
                capped = tl.minimum(apart, tl.log(importance_cap))
                if IMPORTANCE == "mask":
                    capped = tl.where(tl.exp(apart) <= importance_cap, capped, -18.420680743952367)
                capped = tl.minimum(tl.maximum(capped, -18.420680743952367), 20.0)
                path += tl.sum(tl.where(keep, capped, 0.0), 0)
        if SEQUENCE_CORRECTION:
            was = tl.load(logp + i, mask=keep, other=0.0)
            if HAS_OLD:
                was = tl.load(old + i, mask=keep, other=0.0)
            gap_sum += tl.sum(was - tl.load(sampler + i, mask=keep, other=0.0), 0)
    length = tl.maximum(count, 1.0)
    sequence_ratio = tl.exp(drift / length)

    loss, policy, kl_sum, ent_sum, extra_sum = 0.0, 0.0, 0.0, 0.0, 0.0
    n_low, n_high, r_sum, gap_abs, gap_max, corr_sum = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    r_min, r_max = float("inf"), float("-inf")
    shared = 0.0  # sequence ratio: Σ weight · ∂loss/∂log-ratio, divided among the tokens afterwards
    for i0 in range(start, end, BLOCK):
        i = i0 + tl.arange(0, BLOCK)
        inside = i < end
        keep = inside
        if HAS_MASK:
            keep = keep & (tl.load(mask + i, mask=inside, other=0) != 0)
        now = tl.load(logp + i, mask=keep, other=0.0)
        was = now
        if HAS_OLD:
            was = tl.load(old + i, mask=keep, other=0.0)
        if PER_TOKEN_ADV:
            a = tl.load(adv + i, mask=keep, other=0.0)
        else:
            a = tl.load(adv + seq) + tl.zeros([BLOCK], dtype=tl.float32)
        ratio = tl.exp(now - was)
        if SEQUENCE_RATIO:
            ratio = sequence_ratio + tl.zeros([BLOCK], dtype=tl.float32)
        gamma = tl.zeros([BLOCK], dtype=tl.float32)
        if LOSS_TYPE == "vespo":
            gamma = _gamma(path + gamma, a, k_pos, k_neg, lambda_pos, lambda_neg)
        value, by_ratio, by_logp = _surrogate(
            now, ratio, a, gamma, low, high, delta, dual_clip, tau_pos, tau_neg, side_low, side_high, LOSS_TYPE
        )
        if HAS_POLICY_WEIGHTS:
            taken = tl.load(policy_weights + i, mask=keep, other=0.0)
            value *= taken
            by_ratio *= taken
            by_logp *= taken
        if HAS_DRIFT:
            pull = drift_coef * tl.load(drift_weights + i, mask=keep, other=0.0)
            value += pull * tl.abs(now - was)
            by_logp += pull * tl.where(now > was, 1.0, tl.where(now < was, -1.0, 0.0))
        gap = tl.zeros([BLOCK], dtype=tl.float32)
        correction = tl.full([BLOCK], 1.0, dtype=tl.float32)
        if HAS_SAMPLER:
            gap = was - tl.load(sampler + i, mask=keep, other=0.0)
            gap = tl.where(keep, gap, 0.0)
            correction = tl.exp(gap_sum + tl.zeros_like(gap)) if SEQUENCE_CORRECTION else tl.exp(gap)
            if IMPORTANCE != "none" and LOSS_TYPE != "vespo":
                factor = tl.minimum(correction, importance_cap)
                if IMPORTANCE == "mask":
                    factor = tl.where(correction <= importance_cap, factor, 0.0)
                value *= factor
                by_ratio *= factor
                by_logp *= factor
        own = tl.where(keep, 1.0, 0.0)
        if HAS_WEIGHTS:
            own = tl.load(weights + i, mask=keep, other=0.0)
        weight = own * inv_norm
        if PER_SEQUENCE_MEAN:
            weight /= length
        policy += tl.sum(weight * value, 0)
        kl = tl.zeros([BLOCK], dtype=tl.float32)
        if HAS_REF:
            kl, kl_slope = _divergence(now, tl.load(ref + i, mask=keep, other=0.0), kl_log_clamp, kl_clamp, KL)
            if beta > 0:  # a KL that is watched alone may be infinite
                if KL_TIMES_RATIO:
                    value += beta * kl * ratio
                    by_ratio += beta * kl * ratio
                    by_logp += beta * kl_slope * ratio
                else:
                    value += beta * kl
                    by_logp += beta * kl_slope
        extras = tl.zeros([BLOCK], dtype=tl.float32)
        for k in tl.static_range(N_EXTRA):
            coefficient = extra_0 if k == 0 else (extra_1 if k == 1 else (extra_2 if k == 2 else extra_3))
            other = tl.load(extra + k * n_tokens + i, mask=keep, other=0.0)
            term, slope = _divergence(now, other, kl_log_clamp, kl_clamp, "k3")
            extras += coefficient * term
            by_logp += coefficient * slope
        value += extras
        nll = nll_coef
        if HAS_NLL:
            nll = nll_coef * tl.load(nll_weights + i, mask=keep, other=0.0)
        if nll_coef != 0:  # the log-prob of a banned token is infinite
            value -= nll * now
            by_logp -= nll
        if HAS_ENTROPY:
            ent = tl.load(entropy + i, mask=keep, other=0.0)
            ent_sum += tl.sum(ent, 0)
            bonus = -entropy_coef * inv_entropy_norm * own
            if entropy_coef != 0:
                loss += tl.sum(bonus * ent, 0)
            tl.store(g_entropy + i, bonus, mask=inside)
        loss += tl.sum(tl.where(keep, weight * value, 0.0), 0)
        if SEQUENCE_RATIO:
            shared += tl.sum(weight * by_ratio, 0)
            tl.store(g_logp + i, weight * by_logp, mask=inside)
        else:
            tl.store(g_logp + i, tl.where(keep, weight * (by_ratio + by_logp), 0.0), mask=inside)
        bounded = ratio
        if LOSS_TYPE == "gmpo":
            bounded = now - was + 1.0
        below = keep & (bounded < low) & (a < 0)
        above = keep & (bounded > high) & (a > 0)
        n_low += tl.sum(below.to(tl.float32), 0)
        n_high += tl.sum(above.to(tl.float32), 0)
        kl_sum += tl.sum(tl.where(keep, kl, 0.0), 0)
        extra_sum += tl.sum(tl.where(keep, extras, 0.0), 0)
        r_min = tl.minimum(r_min, tl.min(tl.where(keep, ratio, float("inf")), 0))
        r_max = tl.maximum(r_max, tl.max(tl.where(keep, ratio, float("-inf")), 0))
        r_sum += tl.sum(tl.where(keep, ratio, 0.0), 0)
        gap_abs += tl.sum(tl.abs(gap), 0)
        gap_max = tl.maximum(gap_max, tl.max(tl.abs(gap), 0))
        corr_sum += tl.sum(tl.where(keep, correction, 0.0), 0)
    if SEQUENCE_RATIO:
        tl.debug_barrier()  # reads back what this program wrote
        for i0 in range(start, end, BLOCK):
            i = i0 + tl.arange(0, BLOCK)
            keep = i < end
            if HAS_MASK:
                keep = keep & (tl.load(mask + i, mask=keep, other=0) != 0)
            mine = tl.load(g_logp + i, mask=keep, other=0.0)
            part = shared / length
            if LOSS_TYPE == "gmpo":
                moved = tl.zeros([BLOCK], dtype=tl.float32)
                if HAS_OLD:
                    moved = tl.load(logp + i, mask=keep, other=0.0) - tl.load(old + i, mask=keep, other=0.0)
                side = tl.load(adv + (i if PER_TOKEN_ADV else i * 0 + seq), mask=keep, other=0.0)
                _, free = _geometric(moved, side, low, high)
                part = part * free
            tl.store(g_logp + i, mine + part, mask=keep)

    found = (  # the order of spec.METRICS; means as sums, which total_kernel divides
        loss, policy, kl_sum, ent_sum, n_low, n_high, n_low + n_high, r_min, r_max, r_sum, gap_abs, gap_max, corr_sum,
        extra_sum, count, tl.where(count > 0, 1.0, 0.0),
    )  # fmt: skip
    for slot in tl.static_range(len(found)):
        tl.store(parts + slot * n_seq + seq, found[slot])


@triton.jit
def total_kernel(
    parts, loss, metrics, n_seq, METRICS: tl.constexpr, SLOTS: tl.constexpr, MEAN: tl.constexpr, MIN: tl.constexpr,
    MAX: tl.constexpr, TOKENS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Every metric over the sequences in a fixed order, in one program: parts [METRICS, S] to metrics, the first to
    loss.

    MEAN, MIN, MAX: bit i is set for a metric i reduced so; other metrics are sums. TOKENS: the metric that counts
    tokens.
    SLOTS: the power of two that holds METRICS.
    """
    which = tl.arange(0, SLOTS)
    total = tl.zeros([SLOTS, BLOCK], dtype=tl.float64)
    lowest = tl.full([SLOTS, BLOCK], float("inf"), dtype=tl.float32)
    highest = tl.full([SLOTS, BLOCK], float("-inf"), dtype=tl.float32)
    for s0 in range(0, n_seq, BLOCK):
        s = s0 + tl.arange(0, BLOCK)
        keep = (s < n_seq)[None, :] & (which < METRICS)[:, None]
        x = tl.load(parts + which[:, None] * n_seq + s[None, :], mask=keep, other=0.0)
        total += x.to(tl.float64)
        lowest = tl.minimum(lowest, tl.where(keep, x, float("inf")))
        highest = tl.maximum(highest, tl.where(keep, x, float("-inf")))
    value = tl.sum(total, 1)
    n = tl.sum(tl.where(which == TOKENS, value, 0.0), 0)
    value = tl.where((MEAN >> which) & 1 != 0, value / tl.maximum(n, 1.0), value)
    extreme = tl.where((MIN >> which) & 1 != 0, tl.min(lowest, 1), tl.max(highest, 1)).to(tl.float64)
    value = tl.where(((MIN | MAX) >> which) & 1 != 0, tl.where(n > 0, extreme, 0.0), value)
    tl.store(metrics + which, value.to(tl.float32), mask=which < METRICS)
    tl.store(loss + which, value.to(tl.float32), mask=which == 0)
