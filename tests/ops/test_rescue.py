"""Rows whose scale was wrong: what is scanned again for them, and that it is right, whatever else is in the batch."""

import pytest
import torch

from bench.cases import exact, gate, random_case, row_errors
from nsrl_kernels import linear_logp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:numpy")
V, TILE, SPLIT = 40_000, 2_048, 16_384  # of the interpreter: 20 tiles in three splits


@pytest.fixture
def counted(monkeypatch):
    """A call's (logp, entropy, ∂hidden), and how many tiles of logits it multiplied."""
    pytest.importorskip("triton")
    from nsrl_kernels import _tune
    from nsrl_kernels._tl import INTERPRETED

    if not INTERPRETED:
        pytest.skip("counts the interpreter's products")
    from triton.runtime.interpreter import InterpreterBuilder

    assert (_tune.split_columns(), _tune.scan(torch.bfloat16).block_n) == (SPLIT, TILE)
    plain, products = InterpreterBuilder.create_dot, []
    monkeypatch.setattr(InterpreterBuilder, "create_dot", lambda *args: (products.append(1), plain(*args))[1])

    def run(hidden, weight, target, **options):
        products.clear()
        leaf = hidden.clone().requires_grad_()
        logp, entropy = linear_logp(leaf, weight, target, backend="triton", **options)
        logp.sum().backward()
        return logp.detach().double(), entropy.detach().double(), leaf.grad, len(products)

    return run


def _case(gap):
    """16 rows; the target of the last is `gap` nats below one competitor, which lies in the first split."""
    hidden, weight, target = random_case(16, 32, V, spread=1.0)
    weight[7], weight[V - 5] = 0, 0
    hidden[:, 0], hidden[15] = 0, 0
    hidden[15, 0], weight[:, 0] = 1.0, 0
    weight[7, 0], target[15] = gap, V - 5
    return hidden, weight, target


@pytest.mark.parametrize("gap,again", [(10.0, 0), (60.0, SPLIT // TILE), (120.0, 2 * -(-V // TILE))])
def test_only_what_holds_a_row_is_scanned_again(counted, gap, again):
    """Nothing at e^10; where its sum is finite, the split that holds it; else everything, twice."""
    hidden, weight, target = _case(gap)
    *got, products = counted(hidden, weight, target)
    assert products == -(-V // TILE) + again
    want = exact(hidden, weight, target)
    assert ((got[0] - want[0]).abs() <= gate(want[3])).all() and ((got[1] - want[1]).abs() <= 1e-5).all()
    assert row_errors(got[2], want[2])[1] <= 5e-3


@pytest.mark.parametrize("gap", (60.0, 120.0))
def test_the_others_keep_their_bits(counted, gap):
    """Also under masks, where the row that is scanned again is one that is only scored, or left out."""
    hidden, weight, target = _case(gap)
    others = slice(0, 15)
    calm = counted(hidden, weight, target.clone().index_fill(0, torch.tensor([15]), 7))
    wild = counted(hidden, weight, target)
    assert all(torch.equal(a[others], b[others]) for a, b in zip(calm[:3], wild[:3]))
    keep = torch.arange(16) != 15
    scored = counted(hidden, weight, target, grad_rows=keep)
    assert torch.equal(scored[0], wild[0]) and (scored[2][15] == 0).all()
    out = counted(hidden, weight, target, row_mask=keep)
    assert out[0][15] == 0 and torch.equal(out[0][keep], wild[0][keep])
    for masked in (scored, out):  # their GEMM 2 is another
        assert row_errors(masked[2][keep], wild[2][keep])[1] <= 5e-3


def test_a_hint_spares_it(counted):
    hidden, weight, target = _case(60.0)
    plain = counted(hidden, weight, target)
    hinted = counted(hidden, weight, target, hint_logp=plain[0].float() + 0.1)
    assert hinted[3] == -(-V // TILE) < plain[3]
    want = exact(hidden, weight, target)
    assert ((hinted[0] - want[0]).abs() <= gate(want[3])).all() and row_errors(hinted[2], want[2])[1] <= 5e-3


def test_sums_kept_by_four_threads(counted, monkeypatch):
    """As they are on a device, where a row of a tile is in four threads."""
    from nsrl_kernels import _tune

    monkeypatch.setattr(_tune, "lanes", lambda from_logits: 4)
    hidden, weight, target = random_case(9, 32, 5_003)
    *got, _ = counted(hidden, weight, target)
    want = exact(hidden, weight, target)
    assert ((got[0] - want[0]).abs() <= gate(want[3])).all() and ((got[1] - want[1]).abs() <= 1e-5).all()
    assert row_errors(got[2], want[2])[1] <= 5e-3
