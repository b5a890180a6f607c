"""linear_logp against fp64 on the same inputs: every backend, odd shapes, extreme logits, masks, options, bits.

Without a GPU the Triton backends run under the interpreter; with one, natively. The same gates either way.
"""

import math

import pytest
import torch

from bench.cases import WAYS, exact, extreme_case, gate, random_case, row_errors
from nsrl_kernels import linear_logp
from nsrl_kernels.ops.linear_logp.reference import linear_logp as definition

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:numpy")
OVERALL, ANY_ROW = 3e-3, 5e-3


def _run(hidden, weight, target, g=None, **options):
    hidden = hidden.clone().requires_grad_()
    logp, entropy = linear_logp(hidden, weight, target, **options)
    logp.backward(torch.ones_like(logp) if g is None else g)
    return logp.detach(), entropy.detach(), hidden.grad


def _check(hidden, weight, target, way, rows=None):
    logp, entropy, grad = _run(hidden, weight, target, **WAYS[way])
    if rows is not None:  # exact answers for these rows only
        hidden, target, logp, entropy, grad = (x[rows] for x in (hidden, target, logp, entropy, grad))
    want = exact(hidden, weight, target)
    assert logp.dtype == entropy.dtype == torch.float32 and grad.dtype == hidden.dtype
    allowed = gate(want[3], hidden.shape[1] if hidden.is_cuda and way != "torch" else 0)
    worst = ((logp.cpu().double() - want[0]).abs() / allowed).max()
    assert worst <= 1, f"log-prob at {worst:.2f} of its gate"
    assert ((entropy.cpu().double() - want[1]).abs() <= 1e-5 + 2 * (allowed - gate(want[3]))).all()
    overall, row = row_errors(grad, want[2])
    assert overall <= OVERALL and row <= ANY_ROW, (overall, row)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "n,n_hidden,n_vocab", [(1, 32, 2), (7, 24, 17), (7, 48, 32001), (1, 64, 129920), (7, 20, 5003)]
)
def test_gates(way, n, n_hidden, n_vocab, device):
    _check(*random_case(n, n_hidden, n_vocab, device=device), way)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_gates_at_the_2b_vocabulary(way, device):
    _check(*random_case(7, 64, 151936, device=device), way)


@pytest.mark.long
@pytest.mark.parametrize("way,n_vocab", [("torch", 32001), ("triton", 17), ("triton, cuBLAS", 2)])
def test_gates_across_chunks(way, n_vocab, device):
    """2,049 rows: one more than a chunk of GEMM 2."""
    _check(*random_case(2049, 16, n_vocab, device=device), way)


@pytest.mark.parametrize("n_vocab", (129920, 151936))
def test_torch_at_every_row_count_and_vocabulary(n_vocab, device):
    hidden, weight, target = random_case(2049, 16, n_vocab, device=device)
    _check(hidden, weight, target, "torch", rows=torch.arange(0, 2049, 128))


@pytest.mark.parametrize("std", (3.0, 6.0))
def test_torch_is_exact_at_a_real_width(std):
    """H = 2,048, where a plain fp32 product would already miss the gate."""
    _check(*random_case(64, 2048, 5003, spread=std), "torch")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_vocab", (2, 17, 32001))
def test_extreme_logits(way, n_vocab, device):
    names, hidden, weight, target = extreme_case(n_vocab, device)
    logp, entropy, grad = _run(hidden, weight, target, **WAYS[way])
    want = exact(hidden, weight, target)
    for i, name in enumerate(names):
        error = abs(float(logp[i]) - float(want[0][i]))
        assert error <= gate(want[3])[i], (name, float(logp[i]), float(want[0][i]))
        if -1e-6 < want[0][i] < -1e-30:  # p near 1: all of the value is 1 - p, so grader it relatively
            assert error <= 1e-5 * abs(want[0][i]), name
        norm = float(want[2][i].norm())
        assert float((grad[i].cpu().double() - want[2][i]).norm()) <= max(ANY_ROW * norm, 1e-30), name
    assert (entropy.cpu().double() - want[1]).abs().max() <= 5e-6


@pytest.mark.parametrize("way", WAYS)
def test_a_hint_changes_nothing_however_wrong(way, device):
    names, hidden, weight, target = extreme_case(301, device)
    want = exact(hidden, weight, target)
    for hint in (want[0].float(), torch.full((len(names),), -200.0), torch.full((len(names),), math.nan)):
        logp, _, grad = _run(hidden, weight, target, **WAYS[way], hint_logp=hint.to(device))
        assert ((logp.cpu().double() - want[0]).abs() <= gate(want[3])).all()
        assert ((grad.cpu().double() - want[2]).norm(dim=1) <= (ANY_ROW * want[2].norm(dim=1)).clamp(min=1e-30)).all()


@pytest.mark.parametrize("way", WAYS)
def test_empty_and_single(way, device):
    hidden, weight, target = random_case(0, 16, 33, device=device)
    logp, entropy, grad = _run(hidden, weight, target, **WAYS[way])
    assert logp.shape == entropy.shape == (0,) and grad.shape == (0, 16)
    weight.requires_grad_()
    linear_logp(hidden.requires_grad_(), weight, target, **WAYS[way])[0].sum().backward()
    assert hidden.grad.shape == (0, 16) and (weight.grad == 0).all()
    hidden, weight, _ = random_case(3, 16, 1, device=device)  # one token: probability 1
    logp, _, grad = _run(hidden, weight, torch.zeros(3, dtype=torch.long, device=device), **WAYS[way])
    assert (logp == 0).all() and (grad == 0).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16))
@pytest.mark.parametrize(
    "softcap,entropy,weight_trains", [(None, "grad", False), (6.0, "metric", False), (6.0, "grad", True)]
)
def test_options_against_the_definition(way, dtype, softcap, entropy, weight_trains, device):
    """Bias, ban, softcap, temperature per token, entropy gradient, a head that trains, rows left out."""
    n, n_vocab = 37, 203
    hidden, weight, target = random_case(n, 24, n_vocab - 3, dtype=dtype, device=device)
    weight = torch.cat([weight, weight[:3] * 5])
    bias, temperature = torch.randn(n_vocab, device=device), torch.rand(n, device=device) + 0.5
    banned = torch.arange(n_vocab - 3, n_vocab, device=device)
    row_mask, grad_rows = torch.rand(n, device=device) > 0.3, torch.rand(n, device=device) > 0.4
    target = target.masked_fill(~row_mask, -100)
    g, ge = torch.randn(n, device=device), torch.randn(n, device=device) * (entropy == "grad")

    def go(cast, function, masks, **options):
        h = hidden.to(cast).clone().requires_grad_()
        w, b = (
            weight.to(cast).clone().requires_grad_(weight_trains),
            bias.to(cast if cast == torch.float64 else torch.float32).clone(),
        )
        b.requires_grad_(weight_trains)
        logp, ent = function(
            h, w, target if masks else target.clamp(min=0), bias=b, softcap=softcap, banned=banned,
            temperature=temperature.to(b.dtype), **options,
        )  # fmt: skip
        keep = row_mask & grad_rows
        pick = lambda x: x if masks else torch.where(keep, x, x.detach())
        (pick(logp) * g + pick(ent) * ge)[row_mask].sum().backward()
        return torch.where(row_mask, logp, 0), torch.where(row_mask, ent, 0), h.grad, w.grad, b.grad

    got = go(dtype, linear_logp, True, entropy=entropy, **WAYS[way], row_mask=row_mask, grad_rows=grad_rows)
    want = go(torch.float64, definition, False)
    assert (got[0] - want[0]).abs().max() <= 4e-6 and (got[1] - want[1]).abs().max() <= 6e-6
    bound = 2e-5 if dtype == torch.float32 else OVERALL
    for ours, theirs in zip(got[2:], want[2:]):
        if theirs is not None:
            assert float((ours - theirs).norm() / theirs.norm()) <= bound
    assert (got[2][~(row_mask & grad_rows)] == 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_tied_embedding_gets_both_gradients(way, device):
    table = torch.randn(41, 16, device=device).requires_grad_()
    ids = torch.randint(0, 41, (9,), device=device)
    logp, _ = linear_logp(table[ids] * 2, table, ids, **WAYS[way])
    logp.sum().backward()
    exact_table = table.detach().double().requires_grad_()
    definition(exact_table[ids] * 2, exact_table, ids)[0].sum().backward()
    assert float((table.grad - exact_table.grad).norm() / exact_table.grad.norm()) < 1e-5


@pytest.mark.parametrize("way", WAYS)
def test_a_banned_target_and_a_poisoned_row_stay_alone(way, device):
    hidden, weight, target = random_case(6, 16, 50, dtype=torch.float32, device=device)
    clean = _run(hidden, weight, target, **WAYS[way], banned=torch.tensor([49], device=device))
    hidden[2] = math.nan
    target[4] = 49
    logp, _, grad = _run(hidden, weight, target, **WAYS[way], banned=torch.tensor([49], device=device))
    assert logp[2].isnan() and logp[4] == -math.inf and (grad[4] == 0).all()
    others = [0, 1, 3, 5]
    torch.testing.assert_close(logp[others], clean[0][others])
    torch.testing.assert_close(grad[others], clean[2][others])


@pytest.mark.parametrize("way", WAYS)
def test_an_id_past_the_end_is_nan_and_a_negative_one_is_left_out(way, device):
    hidden, weight, target = random_case(5, 16, 50, dtype=torch.float32, device=device)
    target[1], target[3] = 50, -100
    logp, entropy, grad = _run(hidden, weight, target, **WAYS[way])
    assert logp[1].isnan() and logp[3] == entropy[3] == 0 and (grad[3] == 0).all()
    assert logp[[0, 2, 4]].isfinite().all() and grad[[0, 2, 4]].isfinite().all()


@pytest.mark.parametrize("way", ("triton", "triton, cuBLAS"))
def test_same_call_same_bits(way, device):
    hidden, weight, target = random_case(70, 40, 3001, device=device)
    first, second = (_run(hidden, weight, target, **WAYS[way]) for _ in "12")
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def test_a_row_has_the_same_bits_in_any_batch(device):
    """Inputs whose products and sums are exact in fp32: the interpreter's dot is BLAS, whose order depends on the
    row."""
    hidden, weight, target = random_case(70, 40, 3001, device=device)
    hidden, weight = (hidden * 2).round() / 2, (weight * 16).round() / 16
    run = lambda rows, **k: _run(hidden[rows], weight, target[rows], backend="triton", batch_invariant=True, **k)
    whole = run(slice(None))
    for rows in ([5], [69, 5, 33], list(range(40, 10, -1))):
        assert all(torch.equal(part, full[rows]) for part, full in zip(run(rows), whole))
    keep = torch.arange(70, device=device) % 3 != 0
    masked = run(slice(None), row_mask=keep)
    assert all(torch.equal(part[keep], full[keep]) for part, full in zip(masked, whole))


def test_bad_arguments_are_named():
    hidden, weight, target = random_case(4, 8, 11, dtype=torch.float32)
    for arguments, message in (
        ((hidden, weight[:, :4], target), r"weight must be \(V, 8\) to match hidden; got \(11, 4\)"),
        ((hidden, weight, target[:3]), r"target must be \(4,\) like the rows of hidden; got \(3,\)"),
    ):
        with pytest.raises(ValueError, match="linear_logp: " + message):
            linear_logp(*arguments)
    with pytest.raises(TypeError, match="weight must be torch.float32 like hidden"):
        linear_logp(hidden, weight.bfloat16(), target)
    with pytest.raises(ValueError, match="temperature must be positive; got 0"):
        linear_logp(hidden, weight, target, temperature=0.0)
    with pytest.raises(ValueError, match="backend must be one of torch, triton, cuda; got 'tritn'"):
        linear_logp(hidden, weight, target, backend="tritn")
    with pytest.raises(ValueError, match="gemm must be one of 'triton', 'cublas'; got 'v0'"):
        linear_logp(hidden, weight, target, gemm="v0")
