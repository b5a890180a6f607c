"""The kernels on the sums that tensor cores make (bench/tensor_cores.py): cut off after each 16 products, not rounded.

Under the interpreter, whose dot is replaced; on a GPU the tests of the ops run on the real ones.
"""

import numpy as np
import pytest
import torch

from bench import tensor_cores
from bench.cases import exact, gate, random_case, row_errors
from nsrl_kernels import linear_logp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:numpy")
H = 2048


@pytest.fixture
def cores():
    """Runs linear_logp with every product of its kernels made so: (logp, entropy, ∂hidden)."""
    pytest.importorskip("triton")
    from nsrl_kernels._tl import INTERPRETED

    if not INTERPRETED:
        pytest.skip("replaces the interpreter's dot")

    def run(hidden, weight, target, **options):
        leaf = hidden.clone().requires_grad_()
        with tensor_cores.emulated():
            logp, entropy = linear_logp(leaf, weight, target, backend="triton", batch_invariant=True, **options)
            logp.sum().backward()
        return logp.detach().double(), entropy.detach().double(), leaf.grad

    return run


def test_a_sum_is_cut_off_and_not_rounded():
    """Sixteen products that are 0.5, 1.5 or 2 last places of 1 together, twice."""
    last, one = 2.0**-23, np.ones((1, 1))
    a, b = np.ones((1, 32)), np.full((32, 1), last / 16)
    for places, kept in ((0.5, 0), (1.5, 2), (2, 4)):
        assert tensor_cores.accumulated(a, places * b, one)[0, 0] == 1 + kept * last
        assert tensor_cores.accumulated(-a, places * b, -one)[0, 0] == -1 - kept * last
    assert tensor_cores.accumulated(a, 0.75 * b, one, "nearest")[0, 0] == 1 + 2 * last
    x = np.array([1 + 2.0**-30, -1 - 2.0**-30, 1 + 2.0**-23 - 2.0**-40, 0.0, np.inf, np.nan, 1e300])
    want = np.array([1, -1, 1, 0, np.inf, np.nan, np.finfo(np.float32).max], np.float32)
    np.testing.assert_array_equal(tensor_cores.toward_zero(x), want)


def test_promoting_makes_it_smaller_and_nearest_smaller_still():
    torch.manual_seed(0)
    a, b = (torch.randn(s).bfloat16().double().numpy() for s in ((8, H), (H, 64)))
    error = lambda *how: np.abs(tensor_cores.accumulated(a, b, np.zeros((8, 64)), *how) - a @ b).mean()
    cut, promoted, nearest = error(), error("zero", 8), error("nearest")
    assert cut > 4 * promoted and cut > 4 * nearest
    assert cut < H / 16 * 2**-24 * np.abs(a @ b).max()  # the gate's model of it


@pytest.mark.parametrize("spread", (3.0, 6.0))
def test_gates_at_a_real_width(cores, spread):
    hidden, weight, target = random_case(12, H, 1501, spread=spread)
    z = hidden.double() @ weight.double().T
    target[:6] = z[:6].argmax(1)
    logp, entropy, grad = cores(hidden, weight, target)
    want = exact(hidden, weight, target)
    share = (logp - want[0]).abs() / gate(want[3], H)
    assert float(share.max()) <= 1, share.tolist()
    assert float(((logp - want[0]).abs() / gate(want[3])).max()) > 1  # what rounds to nearest would keep
    assert float(((entropy - want[1]).abs() / gate(want[3], H)).max()) <= 2
    overall, row = row_errors(grad, want[2])
    assert overall <= 3e-3 and row <= 5e-3, (overall, row)


def test_both_rescans_and_rows_that_are_alike(cores):
    """A target far below its competitors, and one beside a row like its own."""
    hidden, weight, target = random_case(8, 512, 700, spread=9.0)
    weight[1::2] = (weight[::2].float() + 0.03 * torch.randn(350, 512) / 512**0.5).bfloat16()
    z = hidden.double() @ weight.double().T
    target[:4], target[4:] = z[:4].argmin(1), z[4:].argmax(1)
    logp, _, grad = cores(hidden, weight, target)
    want = exact(hidden, weight, target)
    assert float(want[0][:4].max()) < -21  # beyond RAISE_ABOVE
    assert float(((logp - want[0]).abs() / gate(want[3], 512)).max()) <= 1
    assert row_errors(grad, want[2])[1] <= 5e-3
