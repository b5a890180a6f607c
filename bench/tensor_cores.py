"""What tensor cores make of an fp32 sum, without one: `python -m bench.tensor_cores` prints how far log-probs move.

Products of 16-bit numbers are exact; 16 of them at a time are added to the fp32 accumulator, and the result is cut off,
not rounded (measured from V100 on by Fasi et al., PeerJ CS 2021, doi 10.7717/peerj-cs.330, and to H100 by Khattak and
Mikaitis, arXiv 2512.07004). `emulated` gives that arithmetic to Triton's interpreter, so that the kernels'
own tests can run on it. Knows nothing of the ops.
"""

import contextlib
from unittest import mock

import numpy as np
import torch

STEP = 16  # products that are added at once: the k of wgmma for 16-bit operands
BITS = {  # name: (how a sum becomes fp32, steps after which the accumulator is added to a second one, 0 for never)
    "cut off": ("zero", 0),
    "cut off, promoted every 16 steps": ("zero", 16),
    "cut off, promoted every 8 steps": ("zero", 8),
    "rounded to nearest": ("nearest", 0),
}


def toward_zero(x: np.ndarray) -> np.ndarray:
    """fp64 to fp32 without the digits that do not fit."""
    near = x.astype(np.float32)
    return np.where(np.abs(near.astype(np.float64)) > np.abs(x), np.nextafter(near, np.float32(0)), near)


def accumulated(a: np.ndarray, b: np.ndarray, c: np.ndarray, rounding: str = "zero", promote: int = 0) -> np.ndarray:
    """c + a·b in fp32 as tensor cores add it: a [M, K] and b [K, N] of exact products, c [M, N] fp32."""
    narrow = toward_zero if rounding == "zero" else lambda x: x.astype(np.float32)
    whole, part = np.zeros_like(c, dtype=np.float32), c.astype(np.float32)
    a, b = a.astype(np.float64), b.astype(np.float64)
    for count, k in enumerate(range(0, a.shape[1], STEP), 1):
        part = narrow(part.astype(np.float64) + a[:, k : k + STEP] @ b[k : k + STEP])
        if promote and count % promote == 0:
            whole, part = whole + part, np.zeros_like(part)
    return whole + part if promote else part


@contextlib.contextmanager
def emulated():
    """Triton's interpreter multiplies as tensor cores do, while the context lasts."""
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    def create_dot(self, a, b, d, *_):
        made = accumulated(a.data, b.data, d.data)
        return TensorHandle(made.astype(d.data.dtype), d.dtype.scalar)

    with mock.patch.object(InterpreterBuilder, "create_dot", create_dot):
        yield


def log_probs(logits: torch.Tensor, at_target: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """[N] fp64, from fp32 logits of the competitors and the exact logit of the target (the odds form)."""
    d = (logits.double() - at_target[:, None]).scatter(1, target[:, None], -torch.inf)
    top = d.amax(1, keepdim=True).clamp(min=0)
    return -(top[:, 0] + ((-top).exp() + (d - top).exp().sum(1, keepdim=True)).log()[:, 0])


def table(n: int = 24, n_hidden: int = 2048, n_vocab: int = 4096) -> list[tuple[str, float, dict[str, float]]]:
    """(case, max |logit|, worst |Δlogp| by arithmetic); "refined": the largest competitor multiplied again in fp64."""
    rows = []
    for spread, chosen in ((3.0, "random"), (3.0, "likeliest"), (6.5, "random"), (6.5, "likeliest")):
        torch.manual_seed(0)
        hidden = (torch.randn(n, n_hidden) * spread).bfloat16().double()
        weight = (torch.randn(n_vocab, n_hidden) / n_hidden**0.5).bfloat16().double()
        z = hidden @ weight.T
        target = z.argmax(1) if chosen == "likeliest" else torch.randint(0, n_vocab, (n,))
        at = z.gather(1, target[:, None])[:, 0]
        want = log_probs(z, at, target)
        known = (at, target, want)
        error = lambda logits, known=known: float((log_probs(logits, *known[:2]) - known[2]).abs().max())
        found = {}
        for name, (rounding, promote) in BITS.items():
            made = accumulated(hidden.numpy(), weight.numpy().T, np.zeros(z.shape), rounding, promote)
            found[name] = error(torch.from_numpy(made))
            if name == "cut off":
                first = z.scatter(1, target[:, None], -torch.inf).argmax(1, keepdim=True)
                again = torch.from_numpy(made).double().scatter(1, first, z.gather(1, first))
                found["cut off, refined"] = error(again)
        rows.append((f"std {spread}, {chosen} target", float(z.abs().max()), found))
    return rows


def main() -> None:
    rows = table()
    names = list(rows[0][2])
    print("| case | max logit | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 2))
    for case, most, found in rows:
        print(f"| {case} | {most:.1f} | " + " | ".join(f"{found[name]:.1e}" for name in names) + " |")


if __name__ == "__main__":
    main()
