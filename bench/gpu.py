"""What `make gpu` runs within a time budget: whole steps of the 2B case first, then the head, correctness and sweeps.

    python -m bench.gpu --out bench/results --budget-s 540        # on a machine with a GPU
    TRITON_INTERPRET=1 python -m bench.gpu --out DIR --device cpu --budget-s 60     # the same walk at toy shapes

Writes DIR/<device>-<commit>.json after every stage (an interrupted run keeps what it has) and a table beside it, .md.
The order is `STAGES`, most value first, each with a limit of its own, so that a short budget gives a few whole records.
What a stage could not do is written down with the reason; a step that does not finish leaves the rounds it did. Exit
code 1 when anything that ran is wrong. Knows nothing of how ops work.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from nsrl_kernels import group_advantage, linear_logp, logp_from_logits, policy_loss

from . import contest, measure
from .cases import exact, extreme_case, gate, random_case, row_errors
from .shapes import CASE_2B, COMPLETION, N_SWEEP, SMALL, V_SWEEP

ROOT = Path(__file__).resolve().parents[1]
TIME_GATES_MS = {  # docs/kernels.md, at the 2B case on an H200
    "nsrl triton": {"forward_ms": 9.0, "step_ms": 17.5},
    "nsrl triton, cuBLAS GEMM 1": {"step_ms": 19.0},
}
MEMORY_GATES_MB = {
    "nsrl triton": {"forward_extra_mb": 8.0, "step_extra_mb": 700.0 + 42.0},  # the step also returns ∂hidden
    "nsrl triton, cuBLAS GEMM 1": {"forward_extra_mb": 350.0, "step_extra_mb": 1000.0 + 42.0},
}


class Run:
    """The record of one run, saved after every stage, and the clock it must keep."""

    def __init__(self, out: Path, device: str, budget_s: float):
        self.start, self.budget_s, self.device = time.monotonic(), budget_s, device
        name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        commit = _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or "source"
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
        self.path = out / f"{slug}-{commit}.json"
        out.mkdir(parents=True, exist_ok=True)
        versions = {
            p: _version(p) for p in ("torch", "triton", "liger_kernel", "cut_cross_entropy", "quack", "verl", "trl")
        }
        self.record = {
            "device": name,
            "commit": commit,
            "versions": versions,
            "budget_s": budget_s,
            "checks": [],
            "rows": [],
        }
        self.record |= {"date": time.strftime("%Y-%m-%d"), "python": sys.version.split()[0], "notes": [], "stages": {}}
        if device == "cuda":
            self.record["capability"] = ".".join(map(str, torch.cuda.get_device_capability()))
            self.record["driver"] = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")

    def left_s(self) -> float:
        return self.budget_s - (time.monotonic() - self.start)

    def share_s(self, most: float) -> float:
        """Seconds a stage may take: at most `most`, and no more than there is."""
        return min(most, self.left_s() - 5)

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        self.record["checks"].append({"name": name, "passed": bool(passed), "detail": detail})
        print(f"{'ok  ' if passed else 'FAIL'} {name} {detail}", flush=True)

    def note(self, text: str) -> None:
        self.record["notes"].append(text)
        print(f"note {text}", flush=True)

    def save(self) -> None:
        self.record["seconds"] = round(time.monotonic() - self.start, 1)
        self.path.write_text(json.dumps(self.record, indent=1))
        self.path.with_suffix(".md").write_text(summary(self.record))


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:
        return None


def _head(hidden, weight, target, **options):
    hidden = hidden.clone().requires_grad_()
    logp, entropy = linear_logp(hidden, weight, target, **options)
    logp.sum().backward()
    assert entropy is not None and hidden.grad is not None
    return logp.detach(), entropy.detach(), hidden.grad


def head_gates(run: Run, sizes: list[tuple[int, int, int]]) -> None:
    """|Δlogp|, ∂hidden and entropy against fp64; extremes; bits."""
    for gemm in ("triton", "cublas"):
        name, options = f"GEMM 1 by {gemm}", dict(backend="triton", gemm=gemm)
        for n, n_hidden, n_vocab in sizes:
            torch.manual_seed(0)
            hidden, weight, target = random_case(n, n_hidden, n_vocab, device=run.device)
            logp, entropy, grad = _head(hidden, weight, target, **options)
            rows = torch.linspace(0, n - 1, min(n, 24)).long()
            want = exact(hidden[rows], weight, target[rows])
            allowed = gate(want[3], n_hidden if run.device == "cuda" else 0)
            worst = float(((logp[rows].cpu().double() - want[0]).abs() / allowed).max())
            overall, row = row_errors(grad[rows], want[2])
            apart = (entropy[rows].cpu().double() - want[1]).abs()
            spread = float((apart / (1e-5 + 2 * (allowed - gate(want[3])))).max())
            gradient = f"∂hidden {overall:.1e} overall {row:.1e} in a row"
            detail = f"log-prob {worst:.2f} of its gate, {gradient}, entropy {spread:.2f} of its"
            passed = worst <= 1 and overall <= 3e-3 and row <= 5e-3 and spread <= 1
            run.check(f"{name}, N={n} H={n_hidden} V={n_vocab}", passed, detail)
        cases, hidden, weight, target = extreme_case(sizes[0][2], run.device)
        logp, _, grad = _head(hidden, weight, target, **options)
        want = exact(hidden, weight, target)
        error = (logp.cpu().double() - want[0]).abs() / gate(want[3])
        slack = (grad.cpu().double() - want[2]).norm(dim=1) - (5e-3 * want[2].norm(dim=1)).clamp(min=1e-30)
        bad = [case for case, e, s in zip(cases, error, slack) if not (e <= 1 and s <= 0)]
        run.check(f"{name}, extreme logits", not bad, "; ".join(bad))
    n, n_hidden, n_vocab = sizes[-1]
    hidden, weight, target = random_case(max(n, 40), n_hidden, n_vocab, device=run.device)
    if run.device == "cpu":  # the interpreter's dot is BLAS: keep its sums exact
        hidden, weight = (hidden * 2).round() / 2, (weight * 16).round() / 16
    whole, again = (_head(hidden, weight, target, backend="triton", batch_invariant=True) for _ in "12")
    run.check("same call, same bits", all(torch.equal(a, b) for a, b in zip(whole, again)))
    rows = torch.tensor([33, 5, 12], device=run.device)
    part = _head(hidden[rows], weight, target[rows], backend="triton", batch_invariant=True)
    run.check("a row alone has the batch's bits", all(torch.equal(a, b[rows]) for a, b in zip(part, whole)))


def small_ops(run: Run) -> None:
    """policy_loss, group_advantage and logp_from_logits against fp64, and ∂W of the recompute mode."""
    torch.manual_seed(0)
    device, lengths = run.device, torch.tensor([5, 130, 1, 64])
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]).to(device)
    logp = -3 * torch.rand(int(lengths.sum()), device=device)
    old, ref, adv = (
        logp + 0.3 * torch.randn_like(logp),
        logp + 0.3 * torch.randn_like(logp),
        torch.randn(4, device=device),
    )
    for loss_type in ("grpo", "dapo", "gspo", "cispo", "gppo", "sapo"):
        found = []
        for dtype, backend in ((torch.float32, "triton"), (torch.float64, "torch")):
            x = logp.to(dtype, copy=True).requires_grad_()
            loss, metrics = policy_loss(
                x, adv.to(dtype), cu_seqlens=offsets, old_logp=old.to(dtype), ref_logp=ref.to(dtype), beta=0.1,
                loss_type=loss_type, backend=backend,
            )  # fmt: skip
            (gradient,) = torch.autograd.grad(loss, x)
            found.append((loss.double(), metrics.double(), gradient.double()))
        worst = max(float((a - b).detach().abs().max()) for a, b in zip(*found))
        run.check(f"policy_loss {loss_type}", worst <= 5e-6, f"{worst:.1e}")
    rewards = torch.rand(60, 2, device=device)
    want = group_advantage(rewards.double(), 10, backend="torch").advantages
    for backend in ("triton", "cuda"):
        from nsrl_kernels import _native

        if backend == "cuda" and not _native.available(device):
            run.note(f"group_advantage cuda: {_native.why_not() or 'needs a CUDA device'}")
            continue
        got = group_advantage(rewards, 10, backend=backend).advantages
        run.check(f"group_advantage {backend}", float((got - want).abs().max()) <= 1e-4)
    logits, target = 5 * torch.randn(9, 1003, device=device), torch.randint(0, 1003, (9,), device=device)
    got = logp_from_logits(logits, target, backend="triton")[0].double()
    want = logp_from_logits(logits.double(), target, backend="torch")[0]
    run.check("logp_from_logits", float((got - want).abs().max()) <= 3e-6)
    hidden, weight, target = random_case(40, 64, 515, device=device)
    grads = []
    for dtype, backend in ((torch.bfloat16, "triton"), (torch.float64, "torch")):
        w = weight.to(dtype, copy=True).requires_grad_()
        linear_logp(hidden.to(dtype), w, target, backend=backend)[0].sum().backward()
        grads.append(w.grad.double())
    error = float((grads[0] - grads[1]).norm() / grads[1].norm())
    run.check("∂W of the recompute mode", error <= 4e-3, f"{error:.1e}")


def suite(run: Run) -> None:
    """The ops' own tests, natively on this device."""
    if importlib.util.find_spec("pytest") is None:
        run.note("pytest is not installed: the ops' test-suite was not run")
        return
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", "tests/ops"]
    command += ["--ignore=tests/ops/test_compile_report.py", "--ignore=tests/ops/test_bench.py"]
    done = _finished(run, "the ops' test-suite", 150.0, command)
    if done is not None:
        run.check("tests/ops", done.returncode == 0, (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1])
        if done.returncode:
            run.record["suite_output"] = done.stdout[-6000:]


def _finished(run: Run, what: str, most: float, command: list[str]) -> subprocess.CompletedProcess | None:
    """What a command of a stage ended with, or None with a note: the stage has `most` seconds, or what is left of the
    budget."""
    limit = run.share_s(most)
    if limit < 20:
        run.note(f"out of time before {what}")
        return None
    try:
        return subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        run.note(f"{what} did not finish in {limit:.0f} s")
        return None


def _environment() -> dict:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "kernels"), str(ROOT)])}


def sanitizer(run: Run) -> None:
    """compute-sanitizer's memcheck over every op at small shapes."""
    found = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if found is None or run.device != "cuda":
        run.note(
            "compute-sanitizer is not installed" if run.device == "cuda" else "compute-sanitizer needs a CUDA device"
        )
        return
    command = [found, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-m", "bench.gpu", "--only-small"]
    done = _finished(run, "compute-sanitizer", 120.0, command)
    if done is not None:
        run.check("compute-sanitizer memcheck", done.returncode == 0, (done.stdout.strip().splitlines() or [""])[-1])
        if done.returncode:
            run.record["sanitizer_output"] = done.stdout[-6000:]


def head(run: Run) -> None:
    """The head at the 2B case against every rival."""
    benches(run, (CASE_2B,) if run.device == "cuda" else (SMALL,), rivals=True)


def sweeps(run: Run) -> None:
    """Ours and plain torch at other vocabularies and row counts."""
    benches(run, (*V_SWEEP, *N_SWEEP), rivals=False)


def benches(run: Run, shapes: tuple, rivals: bool) -> None:
    """A row per contender and shape while there is time; gates on what was measured."""
    cuda = run.device == "cuda"
    dtype, budget_ms = (torch.bfloat16, 250.0) if cuda else (torch.float32, 20.0)
    for shape in shapes:
        length = (COMPLETION if shape is CASE_2B else None) if cuda else 12
        rows = contest.all_rows(shape, length, run.device, dtype, budget_ms, rivals)
        while True:
            if run.left_s() < 25:
                run.note(f"out of time at {shape.name}")
                return
            try:
                row = next(rows)
            except StopIteration:
                break
            except torch.cuda.OutOfMemoryError as error:
                run.note(f"{shape.name}: out of memory: {str(error)[:120]}")
                break
            run.record["rows"].append(row)
            _judge(run, shape, row)
            run.save()


def _judge(run: Run, shape, row: dict) -> None:
    if row.get("disagrees") and row["ours"]:
        run.check(f"{row['contender']} agrees at {shape.name}", False, row["disagrees"])
    if shape is not CASE_2B or row["op"] != "linear_logp" or "forward_ms" not in row:
        return
    limits = TIME_GATES_MS.get(row["contender"], {}) if "H200" in run.record["device"] else {}
    for key, limit in {**limits, **MEMORY_GATES_MB.get(row["contender"], {})}.items():
        run.check(f"gate: {row['contender']} {key} ≤ {limit:g}", row[key] <= limit, f"{row[key]:.2f}")


def other_benches(run: Run) -> None:
    """The pytest-benchmark suites of the small ops and of packing."""
    if importlib.util.find_spec("pytest_benchmark") is None:
        run.note("pytest-benchmark is not installed: small ops and packing were not timed")
        return
    out = run.path.with_suffix(".benchmarks.json")
    files = ("bench/test_small_ops.py", "bench/test_pack.py")
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-only", f"--benchmark-json={out}", *files]
    done = _finished(run, "the small ops' benchmarks", run.budget_s, command)
    if done is not None:
        run.check("small ops and packing", done.returncode == 0, (done.stdout.strip().splitlines() or [""])[-1])
    if out.is_file() and out.stat().st_size:
        found = json.loads(out.read_text())["benchmarks"]
        run.record["small_ops"] = [
            {"name": b["name"], "median_ms": b["stats"]["median"] * 1e3, **b["extra_info"]} for b in found
        ]
        out.unlink()


def native_build(run: Run) -> None:
    """csrc/ beside the package, so that everything below also runs on the cuda backend."""
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--inplace",
        "--build-temp",
        str(run.path.with_suffix(".build")),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    shutil.rmtree(run.path.with_suffix(".build"), ignore_errors=True)
    said = [line for line in done.stderr.splitlines() if "native CUDA ops" in line]
    if done.returncode or said:
        run.note(said[0] if said else f"native ops: the build failed: {done.stderr[-400:]}")


def machine(run: Run) -> None:
    """What the arithmetic of docs rests on: copy and matrix rates, and what a launch costs, eagerly and in a CUDA
    graph."""
    cuda = run.device == "cuda"
    size, side, launches = (1 << 30, 8192, 2000) if cuda else (1 << 22, 256, 200)
    dtype = torch.bfloat16 if cuda else torch.float32
    block, other = (torch.empty(size, dtype=torch.uint8, device=run.device) for _ in "12")
    a, b = (torch.randn(side, side, device=run.device, dtype=dtype) for _ in "12")
    x = torch.zeros(64, device=run.device)

    def tiny():
        for _ in range(launches):
            x.add_(1.0)

    timed = lambda call: measure.milliseconds(call, device=run.device, budget_ms=300.0)
    found = {
        "copy_gb_per_s": 2 * size / timed(lambda: other.copy_(block)) / 1e6,
        "gemm_tflops": 2 * side**3 / timed(lambda: a @ b) / 1e9,
        "launch_us": timed(tiny) * 1e3 / launches,
    }
    if cuda:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            tiny()
        found["graph_node_us"] = timed(graph.replay) * 1e3 / launches
    run.record["machine"] = {name: round(value, 3) for name, value in found.items()}


def rollout_step(run: Run) -> None:
    """One prompt with its group, from rollout to update: 128 tokens say what 1,024 would, per token."""
    whole_step(run, "rollout_step", ["-m", "bench.rollout_step", "--size", "2b", "--tokens", "128"], 90.0)


def rollout_32(run: Run) -> None:
    """The same for 32 prompts: what decoding costs when 320 sequences share a step."""
    whole_step(
        run, "rollout_32", ["-m", "bench.rollout_step", "--size", "2b", "--tokens", "96", "--prompts", "32"], 90.0
    )


def packed_step(run: Run) -> None:
    """The update alone, by stage, on completions of full length."""
    whole_step(run, "packed_step", ["-m", "bench.packed_step", "--size", "2b"], 110.0)


def whole_step(run: Run, name: str, arguments: list[str], most: float) -> None:
    """A program that prints its record, one line of JSON, after every round: the last line is kept, however it
    ended."""
    limit = run.share_s(most)
    if limit < 20 and most > 20:
        run.note(f"out of time before {name}")
        return
    ended = None
    try:
        done = subprocess.run(
            [sys.executable, *arguments, "--lines"],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=limit,
        )
        said = done.stdout
        if done.returncode:
            ended = f"failed: {done.stderr[-400:]}"
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode()
        ended = f"did not finish in {limit:.0f} s"
    lines = [line for line in said.splitlines(keepends=True) if line.endswith("\n") and line.startswith("{")]
    if lines:
        run.record[name] = json.loads(lines[-1])
    if ended:
        run.note(f"{name} {ended}" + (f"; {len(lines)} rounds are kept" if lines else ""))


def gates(run: Run) -> None:
    """Every op against fp64 on this device."""
    real = [(7, 2048, 151_936), (2049, 2048, 32_001), (7, 2048, 17), (64, 512, 5_003)]
    head_gates(run, real if run.device == "cuda" else SMALL_SIZES)
    small_ops(run)


SMALL_SIZES = [(7, 64, 1003), (3, 48, 17), (41, 32, 515)]
ON_ANY = (machine, head, gates, sanitizer)
STAGES = (
    machine, native_build, rollout_step, packed_step, rollout_32, head, gates, suite, sanitizer, other_benches, sweeps,
)  # fmt: skip


def summary(record: dict) -> str:
    """The table a person reads."""
    wrong = [c for c in record["checks"] if not c["passed"]]
    lines = [
        f"# {record['device']}, commit {record['commit']}, {record['date']}",
        "",
        f"`python -m bench.gpu --budget-s {record['budget_s']:g}`: {len(record['checks'])} checks, {len(wrong)} "
        f"failed.",
        ", ".join(f"{k} {v}" for k, v in record["versions"].items() if v),
        "",
        *[f"- FAILED {c['name']}: {c['detail']}" for c in wrong],
        *[f"- {note}" for note in record["notes"]],
        "",
        contest.table(record["rows"]),
        "",
    ]
    for row in record.get("small_ops", ()):
        rate = f", {row['gb_per_s']:.0f} GB/s" if row.get("gb_per_s") else ""
        lines.append(f"- {row['name']}: {row['median_ms']:.3f} ms{rate}")
    if record.get("machine"):
        lines.append("- machine: " + ", ".join(f"{name} {value:g}" for name, value in record["machine"].items()))
    step = record.get("packed_step")
    if step:
        stages = ", ".join(f"{name} {seconds:.3f}" for name, seconds in step["seconds"].items())
        lines.append(
            f"- packed 2B step ({step['attention']}): {step['step_s']:.2f} s ({stages}), {step['tokens_per_s']:.0f} "
            f"tokens/s, "
            f"MFU {step['mfu']}, HFU {step['hfu']}, peak {step['peak_memory_gib']} GiB"
        )
    for step in filter(None, (record.get("rollout_step"), record.get("rollout_32"))):
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in step["seconds"].items())
        lines.append(
            f"- whole 2B step, {step['prompts']} × {step['completions']} × {step['tokens_each']} tokens: "
            f"{step['step_s']:.1f} s "
            f"({stages}; the seed takes {step['seed_step_s']:.0f} s for 1 × 10 × 1,024); "
            f"{step['rollout_tokens_per_s']:.0f} tokens/s sampled, {step['decode_steps_per_s']:.0f} decode steps/s, "
            f"sampler against trainer {step['parity_mean'] or float('nan'):.3f} nats on average, peak "
            f"{step['peak_memory_gib']} GiB"
        )
    return "\n".join(lines) + "\n"


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="bench.gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--budget-s", type=float, default=540.0)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only-small", action="store_true", help="the small shapes alone, nothing written")
    options = parser.parse_args(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("bench.gpu: no CUDA device here (TRITON_INTERPRET=1 with --device cpu walks the same path at toy shapes)")
        return 2
    if options.only_small:
        run = Run.__new__(Run)
        run.device, run.record = options.device, {"checks": [], "notes": []}
        head_gates(run, SMALL_SIZES)
        small_ops(run)
        return int(any(not c["passed"] for c in run.record["checks"]))
    run = Run(options.out, options.device, options.budget_s)
    for stage in STAGES if options.device == "cuda" else ON_ANY:
        began = time.monotonic()
        stage(run)
        run.record["stages"][stage.__name__] = round(time.monotonic() - began, 1)
        run.save()
    print(run.path.with_suffix(".md").read_text())
    print(f"written: {run.path}")
    return int(any(not c["passed"] for c in run.record["checks"]))


if __name__ == "__main__":
    sys.exit(main())
