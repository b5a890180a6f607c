"""What the compiler makes of every kernel for Hopper, with no GPU: `python -m bench.compile_report [--json FILE]`.

Triton kernels are compiled for sm_90 as the 2B case launches them, with the ptxas that Triton ships, CUDA kernels of
csrc/ for sm_90a with nvcc where it is installed. Printed per kernel: registers, spilled bytes, shared memory, an
occupancy estimate, tensor-core and TMA instructions, and the widths of its global loads and stores. Knows nothing of
run time.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
TARGET = ("cuda", 90, 32)
REGISTERS, THREADS, SHARED, BLOCKS = 65536, 2048, 227 * 1024, 32  # of one H200 multiprocessor
RESCUES = ("forward + E, banned ids", "logp_from_logits")  # rescues of others differ by what these two have in common
LEAN = {"lean": 6.0, "lean, stored": 9.6}  # most instructions an element of the scan's epilogue, exp stored or not


def tool(name: str) -> str:
    import triton

    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)


def occupancy(registers: int, shared: int, threads: int) -> float:
    """Fraction of the multiprocessor's threads that can be resident: registers, shared memory, block and thread
    slots."""
    per_warp = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS // (per_warp * (threads // 32)) if registers else BLOCKS
    by_shared = SHARED // shared if shared else BLOCKS
    return min(by_registers, by_shared, BLOCKS, THREADS // threads) * threads / THREADS


def per_exponential(sass: str) -> float | None:
    """Instructions per exp2 of the basic blocks that take any: what an element of the scan costs where it asks for no
    mask, clearing the accumulator included. None where there is no exp2."""
    code = [(int(at, 16), text) for at, text in re.findall(r"/\*([0-9a-f]{4,5})\*/\s+(.*?);", sass)]
    starts = {int(to, 16) for _, text in code for to in re.findall(r"(?:BRA|BSSY)\b.*?(0x[0-9a-f]+)", text)}
    blocks: list[list[str]] = [[]]
    for at, text in code:
        if at in starts or (blocks[-1] and re.search(r"\b(BRA|EXIT)\b", blocks[-1][-1])):
            blocks.append([])
        blocks[-1].append(text)
    taken = [(len(block), sum("MUFU.EX2" in text for text in block)) for block in blocks]
    length, count = (sum(x) for x in zip(*(pair for pair in taken if pair[1]))) if any(n for _, n in taken) else (0, 0)
    return round(length / count, 2) if count else None


def sass_counts(sass: str) -> dict:
    """Instructions worth counting. Vector widths are bits per thread of global loads and stores."""
    loads = re.findall(r"\bLDG\.E(?:\.[A-Z_]+)*?(\.128|\.64|\.U16|\.U8)?\b[^;]*;", sass)
    stores = re.findall(r"\bSTG\.E(?:\.[A-Z_]+)*?(\.128|\.64|\.U16|\.U8)?\b[^;]*;", sass)
    width = {".128": 128, ".64": 64, ".U16": 16, ".U8": 8, "": 32}
    return {
        "wgmma": len(re.findall(r"\bHGMMA", sass)),
        "mma": len(re.findall(r"\bHMMA", sass)),
        "tma_loads": len(re.findall(r"\bUTMALDG", sass)),
        "tma_stores": len(re.findall(r"\bUTMASTG", sass)),
        "load_bits": sorted({width[x] for x in loads}, reverse=True),
        "store_bits": sorted({width[x] for x in stores}, reverse=True),
        "local_accesses": len(re.findall(r"\b(?:STL|LDL)\b", sass)),
        "per_exponential": per_exponential(sass),
    }


class Launch(NamedTuple):
    """One launch of a Triton kernel as the host code makes it: what its compilation depends on."""

    fn: Any
    types: dict[str, str]
    constants: dict
    divisible: tuple[str, ...]  # arguments that are multiples of 16
    options: dict

    @property
    def name(self) -> str:
        """The kernel's, with what it does where it does several things."""
        parts = [self.fn.__name__.removesuffix("_kernel"), self.constants.get("MODE"), self.constants.get("PHASE")]
        return " ".join(filter(None, parts))

    @property
    def wants(self) -> list[str]:
        """What the design of a GEMM relies on, checked by the test."""
        if "PRECISION" not in self.constants or self.constants.get("FROM_LOGITS"):
            return []
        by_tma = ["tma"] if self.constants["TMA"] else []
        wants = by_tma + (["wgmma"] if self.constants["PRECISION"] == "ieee" else [])
        if self.name == "scan sums" and "wgmma" in wants and self.constants["BLOCK_N"] == 256:  # the 2B tile
            wants.append("lean, stored" if self.constants["STORE_E"] else "lean")
        return wants


def launches(call) -> list[Launch]:
    """The launches of a call of a triton backend on `meta` tensors: nothing runs."""
    import torch
    from triton.runtime.jit import JITFunction
    from triton.tools.tensor_descriptor import TensorDescriptor

    short = {torch.float32: "fp32", torch.float64: "fp64", torch.float16: "fp16", torch.bfloat16: "bf16"}
    short |= {torch.int8: "i8", torch.int32: "i32", torch.int64: "i64"}
    found = []

    def kind(value) -> str:
        if isinstance(value, torch.Tensor):
            return "*" + short[value.dtype]
        if isinstance(value, TensorDescriptor):
            return f"tensordesc<{short[value.base.dtype]}{value.block_shape}>"
        return "fp32" if isinstance(value, float) else "i32"

    def record(fn, *positional, grid, warmup, **named):
        given = dict(zip(fn.arg_names, positional)) | named
        values = {name: given.pop(name) for name in fn.arg_names}
        constant = {p.name for p in fn.params if p.is_constexpr} | {
            n for n, v in values.items() if type(v) is int and v == 1
        }
        even = lambda value: value % 16 == 0 if isinstance(value, int) else isinstance(value, torch.Tensor)
        divisible = tuple(n for n, v in values.items() if n not in constant and even(v))
        types = {name: "constexpr" if name in constant else kind(value) for name, value in values.items()}
        found.append(Launch(fn, types, {n: values[n] for n in constant}, divisible, given))

    with mock.patch.object(JITFunction, "run", record):
        call()
    return found


def compile_launch(launch: Launch, name: str) -> dict:
    """One row of the report."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    at = launch.fn.arg_names.index
    attributes = {(at(name),): [["tt.divisibility", 16]] for name in launch.divisible}
    source = ASTSource(launch.fn, launch.types, {(at(k),): v for k, v in launch.constants.items()}, attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernel = triton.compile(source, target=GPUTarget(*TARGET), options=launch.options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = _run(tool("cuobjdump"), "-res-usage", file.name)
        sass = _run(tool("cuobjdump"), "-sass", file.name)
    registers, stack = map(int, re.findall(r"REG:(\d+) STACK:(\d+)", usage)[0])
    shared, threads = kernel.metadata.shared, kernel.metadata.num_warps * 32
    row = {"kernel": name, "language": "triton", "registers": registers, "spilled_bytes": stack, "shared_bytes": shared}
    row |= {"threads": threads, "occupancy": round(occupancy(registers, shared, threads), 3)}
    counts = sass_counts(sass)
    counts["wgmma"] = max(counts["wgmma"], kernel.asm["ptx"].count("wgmma.mma_async"))
    return row | counts | {"wants": launch.wants}


def _run(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def calls() -> dict[str, Any]:
    """What the 2B case runs, by name: calls of the triton backends on `meta` tensors. The first to launch a kernel
    names it.

    2,045 rows: the end of a batch, where nothing is a multiple of 16.
    """
    import torch

    from nsrl_kernels._rows import Saved
    from nsrl_kernels.ops.group_advantage import triton_backend as group
    from nsrl_kernels.ops.linear_logp import spec as head_spec
    from nsrl_kernels.ops.linear_logp import triton_backend as head
    from nsrl_kernels.ops.logp_from_logits import spec as logits_spec
    from nsrl_kernels.ops.logp_from_logits import triton_backend as logits
    from nsrl_kernels.ops.pack_vision import spec as pack_spec
    from nsrl_kernels.ops.pack_vision import triton_backend as packing
    from nsrl_kernels.ops.policy_loss import triton_backend as objective
    from nsrl_kernels.ops.policy_loss.reference import Inputs
    from nsrl_kernels.ops.policy_loss.spec import Objective

    N, H, V, T, S, I = 2_045, 2_048, 151_936, 2_045, 10, 3
    make = lambda *shape, dtype=torch.float32: torch.empty(shape, dtype=dtype, device="meta")
    ints = lambda *shape: make(*shape, dtype=torch.int32)
    half = lambda *shape: make(*shape, dtype=torch.bfloat16)
    rows = lambda: make(N)

    def head_call(
        saving="jacobian", *, dtype=torch.bfloat16, width=H, softcap=0.0, gemm="triton", invariant=False, bans=None,
        **tensors,
    ):  # fmt: skip
        none: dict[str, Any] = dict.fromkeys(head_spec.Inputs._fields)
        target = make(N, dtype=torch.int64)
        x = head_spec.Inputs(
            **none
            | dict(hidden=make(N, width, dtype=dtype), weight=make(V, width, dtype=dtype), target=target)
            | ({} if bans is None else dict(bias=bans))
            | tensors
        )
        options = head_spec.Options(
            1.0, softcap, "metric", saving, invariant, "", 0, backend="triton", gemm=gemm, bans_only=bans is not None
        )
        if saving != "recompute":
            return lambda: head.forward(x, options)
        saved = Saved(rows(), rows(), rows(), rows(), rows())
        return lambda: head.backward(x, saved, head_spec.Needs(True, True, True), options)

    def loss_call(sequence):
        vector = lambda: make(T)
        mask = make(T, dtype=torch.bool)
        x = Inputs(
            vector(), vector(), make(S), mask, make(S + 1, dtype=torch.int64), make(), make(), vector(), vector(),
            vector(), vector(), None, None, None, make(1, T), (0.1,),
        )  # fmt: skip
        options = Objective(
            loss_type="grpo", importance_sampling_level="sequence" if sequence else "token",
            aggregation="sequence" if sequence else "token", delta=1.5, dual_clip=3.0, beta=0.1, kl_log_clamp=1.0,
            kl_clamp=1.0, importance="truncate", importance_level="sequence" if sequence else "token",
            entropy_coef=0.1, nll_coef=0.1,
        )  # fmt: skip
        return lambda: objective.forward(x, options)

    def logits_call(forward):
        x = logits_spec.Inputs(half(N, V), make(N, dtype=torch.int64), None, None, None)
        options, saved = (
            logits_spec.Options(1.0, 0.0, "metric", False, "triton"),
            Saved(rows(), rows(), rows(), rows(), None),
        )
        return lambda: logits.forward(x, options) if forward else logits.backward(x, saved, options, half(N, V))

    bans, mask, hint = make(V), make(N, dtype=torch.bool), rows()
    stream = pack_spec.Stream(ints(T), ints(S + 1), ints(S), ints(S + 1), ints(I, 3), ints(I))
    numbers = pack_spec.Numbers(151_655, 2, 1_024, 3 * T, "triton")
    plan = [ints(T), ints(3, T), ints(S + 1), ints(3 * T), ints(1_024), ints(1_024), ints(I)]
    return {
        "forward + E": head_call(),
        "forward only": head_call("none"),
        "forward only, banned ids": head_call("none", bans=bans, hint_logp=hint),
        "forward + E, banned ids": head_call(bans=bans, hint_logp=hint),
        "forward + E, banned ids, masked rows": head_call(bans=bans, hint_logp=hint, row_mask=mask),
        "forward + E, bias": head_call(bias=bans),
        "forward + E, masked rows": head_call(row_mask=mask),
        "forward + E, softcap": head_call(softcap=30.0),
        "coefficients": head_call("recompute"),
        "coefficients, banned ids": head_call("recompute", bans=bans),
        "coefficients, softcap, masked rows": head_call("recompute", softcap=30.0, row_mask=mask),
        "forward + E, no TMA (odd strides)": head_call(width=H - 4),
        "forward + E, fp16 inputs": head_call(dtype=torch.float16),
        "forward + E, fp32 inputs (3 x tf32)": head_call(dtype=torch.float32),
        "forward + E, logits by cuBLAS": head_call(gemm="cublas"),
        "forward + E, batch invariant": head_call(invariant=True),
        "row scale": lambda: head.scale_rows(half(N, H), rows(), half(N, H)),
        "logp_from_logits": logits_call(True),
        "logp_from_logits backward": logits_call(False),
        "policy_loss, token level, every term": loss_call(False),
        "policy_loss, sequence level, every term": loss_call(True),
        "group_advantage": lambda: group.forward(make(320, 2), make(2), ints(33), "batch_std", 1e-4),
        "pack_vision": lambda: packing.pack_plan(stream, numbers, plan),
        "pack_embed": lambda: packing.pack_gather(half(V, H), half(1_024, H), ints(T), half(T, H)),
        "deepstack_add": lambda: packing.deepstack_add(half(T, H), half(1_024, H), ints(1_024), ints(1_024)),
        "gather_kv gradient": lambda: packing.kv_gather_backward(
            half(3 * T, 1_024), ints(S + 1), ints(S + 1), ints(S), half(T, 1_024)
        ),
    }


def triton_rows() -> list[dict]:
    """Every Triton kernel of nsrl_kernels in the variants the 2B case launches, each once."""
    rows, seen = [], []
    for case, call in calls().items():
        for launch in launches(call):
            other = launch.fn.__name__ == "rescue_kernel" and case not in RESCUES
            if launch not in seen and not other:
                seen.append(launch)
                rows.append(compile_launch(launch, f"{launch.name}: {case}"))
    return rows


def cuda_rows() -> tuple[list[dict], str | None]:
    """Every __global__ of csrc/*.cu for sm_90a, and why there are none when there are none."""
    from shutil import which

    sources = sorted((ROOT / "csrc").glob("*.cu"))
    if not sources:
        return [], "csrc/ has no .cu files"
    nvcc = which("nvcc")
    if nvcc is None:
        return [], "nvcc is not on PATH"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            cubin = Path(folder) / (source.stem + ".cubin")
            flags = ["-cubin", "-gencode=arch=compute_90a,code=sm_90a", "-std=c++17", "-O3", "-I", str(ROOT / "csrc")]
            done = subprocess.run([nvcc, *flags, "-o", str(cubin), str(source)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"compile_report: nvcc failed on {source.name}:\n{done.stderr[-2000:]}")
            usage = _run(tool("cuobjdump"), "-res-usage", str(cubin))
            sass = _run(tool("cuobjdump"), "-sass", str(cubin))
            bodies = dict(re.findall(r"Function : (\S+)\n(.*?)(?=\n\s*\.{5,}|\Z)", sass, re.S))
            found = re.findall(r"Function (\S+?):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", usage)
            for symbol, registers, stack, shared, local in found:
                counts = sass_counts(bodies.get(symbol, ""))
                row = {"kernel": f"{source.stem}: {_plain(symbol)}", "language": "cuda", "registers": int(registers)}
                row |= {"spilled_bytes": int(stack) + int(local), "shared_bytes": int(shared), "threads": 256}
                row["occupancy"] = round(occupancy(int(registers), int(shared), 256), 3)
                rows.append(row | counts | {"wants": []})
    return rows, None


def _plain(symbol: str) -> str:
    demangled = subprocess.run(["c++filt", symbol], capture_output=True, text=True)
    name = demangled.stdout.strip() if demangled.returncode == 0 else symbol
    return re.sub(r"\(anonymous namespace\)::|nsrl::|^void |\(.*\)$", "", name)


def faults(rows: list[dict]) -> list[str]:
    """What would fail the test: spills, or an instruction the design relies on that is not there."""
    found = []
    for row in rows:
        if row["spilled_bytes"] or row["local_accesses"]:
            found.append(
                f"{row['kernel']}: spills {row['spilled_bytes']} bytes, {row['local_accesses']} local accesses"
            )
        for law, most in LEAN.items():
            if law in row["wants"] and row["per_exponential"] > most:
                found.append(f"{row['kernel']}: {row['per_exponential']} instructions an element")
        if "wgmma" in row["wants"] and not row["wgmma"]:
            found.append(f"{row['kernel']}: no wgmma")
        if "tma" in row["wants"] and not row["tma_loads"]:
            found.append(f"{row['kernel']}: no TMA loads")
    return found


def table(rows: list[dict]) -> str:
    head = (
        "| kernel | registers | spills | shared KB | threads | occupancy | wgmma | TMA ld/st | load bits | store bits |"
        " per exp2 |"
    )
    lines = [head, "|---" * 11 + "|"]
    for r in rows:
        bits = lambda widths: " ".join(map(str, widths)) or "-"
        lines.append(
            f"| {r['kernel']} | {r['registers']} | {r['spilled_bytes']} | {r['shared_bytes'] / 1024:.0f} | "
            f"{r['threads']} | "
            f"{r['occupancy']:.0%} | {r['wgmma']} | {r['tma_loads']}/{r['tma_stores']} | {bits(r['load_bits'])} | "
            f"{bits(r['store_bits'])} | {r['per_exponential'] or '-'} |"
        )
    return "\n".join(lines)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="bench.compile_report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(argv)
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise SystemExit("compile_report: unset TRITON_INTERPRET: the interpreter's kernels do not compile")
    cuda, why_not = cuda_rows()
    rows = triton_rows() + cuda
    print(table(rows))
    if why_not:
        print(f"\nCUDA kernels not compiled: {why_not}")
    wrong = faults(rows)
    print("\n" + ("\n".join(wrong) if wrong else "no spills; every tensor-core kernel uses wgmma"))
    if options.json:
        Path(options.json).write_text(json.dumps({"rows": rows, "cuda_missing": why_not}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
