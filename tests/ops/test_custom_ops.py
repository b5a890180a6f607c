"""Every custom op passes opcheck, compiles without graph breaks, and synchronises with nothing."""

import re
import sys
from pathlib import Path

import pytest
import torch

import nsrl_kernels
from bench.cases import random_case
from nsrl_kernels import group_advantage, linear_grpo, linear_logp, logp_from_logits, policy_loss

OPCHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def _record(monkeypatch, module, name, calls):
    op = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: (calls.append((op, args)), op(*args))[1])


def _detached(x):
    if isinstance(x, list):
        return [_detached(y) for y in x]
    return x.detach() if isinstance(x, torch.Tensor) else x


@pytest.mark.parametrize("backend", ("torch", "triton"))
def test_opcheck(monkeypatch, backend, device):
    """The arguments are those the public functions pass, recorded on the way."""
    import nsrl_kernels.ops.group_advantage.op
    import nsrl_kernels.ops.linear_logp.op
    import nsrl_kernels.ops.logp_from_logits.op
    import nsrl_kernels.ops.policy_loss.op  # noqa: F401

    calls = []
    for folder, names in {
        "linear_logp": ("_linear_logp", "_linear_logp_backward", "_scale_rows"),
        "logp_from_logits": ("_logits_logp", "_logits_logp_backward", "_logits_logp_backward_"),
        "policy_loss": ("_policy_loss",),
        "group_advantage": ("_group_advantage",),
    }.items():
        for name in names:
            _record(monkeypatch, sys.modules[f"nsrl_kernels.ops.{folder}.op"], name, calls)
    hidden, weight, target = random_case(5, 8, 13, dtype=torch.float32, device=device)
    hidden.requires_grad_()
    mask = torch.arange(5, device=device) != 2
    logp, _ = linear_logp(
        hidden, weight, target, backend=backend, row_mask=mask, banned=torch.tensor([1], device=device)
    )
    logp.sum().backward()
    trained = weight.clone().requires_grad_()
    logp, ent = linear_logp(hidden, trained, target, backend=backend, entropy="grad", softcap=5.0)
    (logp.sum() + ent.sum()).backward()
    for inplace in (False, True):
        logits = (hidden.detach() @ weight.T).requires_grad_()
        logp, _ = logp_from_logits(logits * 1.0, target, backend=backend, inplace_grad=inplace)
        logp.sum().backward()
    if backend == "triton":
        offsets = torch.tensor([0, 2, 5], device=device)
        loss, _ = policy_loss(
            logp.detach().requires_grad_(), torch.ones(2, device=device), cu_seqlens=offsets, backend=backend,
            entropy=ent.detach().requires_grad_(), entropy_coef=0.1,
        )  # fmt: skip
        loss.backward()
        group_advantage(torch.rand(4, device=device), 2, backend=backend)
    seen = {op._name for op, _ in calls}
    want = {"linear_logp", "linear_logp_backward", "scale_rows", "logits_logp", "logits_logp_backward"}
    want |= {"logits_logp_backward_"} | ({"policy_loss", "group_advantage"} if backend == "triton" else set())
    assert seen == want
    once = {op._name: (op, args) for op, args in calls}
    for name, (op, args) in once.items():
        if "backward" in name or name == "scale_rows":  # called by autograd, never differentiated themselves
            args = tuple(_detached(x) for x in args)
        torch.library.opcheck(op, args, test_utils=OPCHECKS)


@pytest.mark.parametrize("backend", (None, "triton"))
def test_compiles_without_graph_breaks(backend, device):
    hidden, weight, target = random_case(12, 8, 13, dtype=torch.float32, device=device)
    rewards, offsets = torch.tensor([1.0, 0, 0.5, 0.5], device=device), torch.arange(0, 13, 3, device=device)

    def step(hidden, target, rewards, offsets):
        return linear_grpo(
            hidden, weight, target, rewards, 2, offsets, old_logp=torch.full_like(target, -2.5, dtype=torch.float32),
            temperature=0.9, backend=backend,
        )  # fmt: skip

    results = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        h = hidden.clone().requires_grad_()
        loss, metrics = function(h, target, rewards, offsets)
        loss.backward()
        results.append((loss.detach(), metrics, h.grad))
    for as_written, compiled in zip(*results):
        torch.testing.assert_close(as_written, compiled)


def test_logits_compile_without_graph_breaks():
    logits, target = torch.randn(5, 11), torch.randint(0, 11, (5,))
    run = torch.compile(
        lambda z: logp_from_logits(z * 2, target, entropy="grad")[0].sum(), fullgraph=True, backend="aot_eager"
    )
    leaf = logits.clone().requires_grad_()
    run(leaf).backward()
    want = 2 * (torch.nn.functional.one_hot(target, 11) - (logits * 2).softmax(-1))
    torch.testing.assert_close(leaf.grad, want, atol=2e-6, rtol=1e-5)


def test_no_op_reads_the_device():
    """The law of docs/kernels.md: no op can wait for a GPU. (The adapters read metrics back, as their peers do.)"""
    folder = Path(nsrl_kernels.__file__).parent
    banned = re.compile(r"\.item\(\)|\.cpu\(\)|\.tolist\(\)|synchronize\(|\.numpy\(\)")
    found = [
        f"{path.relative_to(folder)}:{number}"
        for path in sorted(folder.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned.search(line) and path.parent.name != "adapters"
    ]
    assert not found


def test_environment_is_read_in_one_file(monkeypatch):
    folder = Path(nsrl_kernels.__file__).parent
    readers = [path.name for path in sorted(folder.rglob("*.py")) if "environ" in path.read_text()]
    assert readers == ["_backend.py"]
    monkeypatch.setenv("NSRL_KERNELS_BACKEND", "nonsense")
    with pytest.raises(ValueError, match="NSRL_KERNELS_BACKEND must be one of"):
        linear_logp(*random_case(2, 4, 5, dtype=torch.float32))


def test_the_old_name_of_torch_is_taken(monkeypatch):
    case = random_case(2, 4, 5, dtype=torch.float32)
    want = linear_logp(*case, backend="torch")
    for backend, environment in (("reference", ""), (None, "reference")):
        monkeypatch.setenv("NSRL_KERNELS_BACKEND", environment)
        assert all(torch.equal(a, b) for a, b in zip(linear_logp(*case, backend=backend), want))


def test_backend_is_announced_once(caplog):
    from nsrl_kernels import _backend

    _backend._announced.clear()
    with caplog.at_level("INFO", logger="nsrl_kernels"):
        for _ in range(3):
            linear_logp(*random_case(2, 4, 5, dtype=torch.float32))
    assert [r.message for r in caplog.records] == ["linear_logp runs on torch (cpu)"] or torch.cuda.is_available()


@pytest.mark.gpu
def test_cuda_graph_capture():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    hidden, weight, target = random_case(64, 64, 1009, device="cuda")
    hidden.requires_grad_()
    mask = torch.arange(64, device="cuda") % 3 > 0

    def step():
        logp, _ = linear_logp(hidden, weight, target, row_mask=mask)
        (grad,) = torch.autograd.grad(logp.sum(), hidden)
        return logp, grad

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            want = step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = step()
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(got, want))


@pytest.mark.long
def test_works_where_triton_is_not_installed():
    """A CPU with torch alone: the documented step runs, on the torch path."""
    import subprocess

    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys; sys.modules['triton'] = None; import re; from pathlib import Path\n"
        "block = re.search(r'```python\\n(.*?)```', Path('docs/kernels.md').read_text(), re.S).group(1)\n"
        "exec(block)\n"
        "import nsrl_kernels, torch\n"
        "try: nsrl_kernels.linear_logp(torch.randn(2, 4), torch.randn(5, 4), torch.zeros(2).long(), backend='triton')\n"
        "except ValueError as error: print(error)\n"
    )
    environment = {"PYTHONPATH": str(root / "kernels"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'loss':" in done.stdout and "backend='triton' is not available here; expected one of torch" in done.stdout
