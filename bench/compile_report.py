"""What the compiler makes of every kernel for Hopper, with no GPU: `python -m bench.compile_report [--json FILE]`.

Triton kernels are compiled for sm_90 at the 2B case with the ptxas that Triton ships, CUDA kernels of csrc/ for sm_90a
with nvcc where it is installed. Printed per kernel: registers, spilled bytes, shared memory, an occupancy estimate,
tensor-core and TMA instructions, and the widths of its global loads and stores. Knows nothing of run time.
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

ROOT = Path(__file__).resolve().parents[1]
TARGET = ("cuda", 90, 32)
REGISTERS, THREADS, SHARED, BLOCKS = 65536, 2048, 227 * 1024, 32  # of one H200 multiprocessor


def tool(name: str) -> str:
    import triton

    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)


def occupancy(registers: int, shared: int, threads: int) -> float:
    """Fraction of the multiprocessor's threads that can be resident: registers, shared memory, block and thread slots."""
    per_warp = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS // (per_warp * (threads // 32)) if registers else BLOCKS
    by_shared = SHARED // shared if shared else BLOCKS
    return min(by_registers, by_shared, BLOCKS, THREADS // threads) * threads / THREADS


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
    }


def compile_triton(name, fn, signature, constants, *, warps, stages, divisible=(), wants=()) -> dict:
    """One row of the report. `wants`: what its design relies on ("wgmma", "tma"), checked by the test."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = [p.name for p in fn.params]
    missing = set(names) - set(signature) - set(constants)
    if missing:
        raise ValueError(f"compile_report: {name} has arguments without a type: {sorted(missing)}")
    types = {n: "constexpr" if n in constants else signature[n] for n in names}
    attrs = {
        (names.index(n),): [["tt.divisibility", 16]]
        for n in names
        if n not in constants and (types[n].startswith("*") or n in divisible)
    }
    source = ASTSource(fn, types, {(names.index(k),): v for k, v in constants.items()}, attrs)
    options = {"num_warps": warps, "num_stages": stages}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernel = triton.compile(source, target=GPUTarget(*TARGET), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = _run(tool("cuobjdump"), "-res-usage", file.name)
        sass = _run(tool("cuobjdump"), "-sass", file.name)
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", usage).groups())
    shared = kernel.metadata.shared
    row = {"kernel": name, "language": "triton", "registers": registers, "spilled_bytes": stack, "shared_bytes": shared}
    row |= {"threads": warps * 32, "occupancy": round(occupancy(registers, shared, warps * 32), 3)}
    counts = sass_counts(sass)
    counts["wgmma"] = max(counts["wgmma"], kernel.asm["ptx"].count("wgmma.mma_async"))
    return row | counts | {"wants": list(wants)}


def _run(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def triton_rows() -> list[dict]:
    """Every Triton kernel of nsrl_kernels in the variants the 2B case launches."""
    import torch

    from nsrl_kernels import _tune
    from nsrl_kernels.group_advantage import kernel as group
    from nsrl_kernels.linear_logp import kernel as logp
    from nsrl_kernels.logp_from_logits import kernel as logits
    from nsrl_kernels.pack_vision import kernel as packing
    from nsrl_kernels.policy_loss import kernel as objective

    bf16 = torch.bfloat16
    rows = []
    add = lambda *arguments, **options: rows.append(compile_triton(*arguments, **options))
    f32, f64, i32, i64, half, scalar, real = "*fp32", "*fp64", "*i32", "*i64", "*bf16", "i32", "fp32"
    common = dict(
        bias=f32, level=f32, inv_t=f64, column=i32, own=i32, flag=i32, counts=i32, parts=f32, g_logp=f32, g_entropy=f32,
        entropy=f32, at_target=f32, logits=f32, row0=scalar, n_rows=scalar, n_vocab=scalar, n_hidden=scalar,
        stride_h=scalar, stride_w=scalar, stride_l=scalar, stride_e=scalar, softcap=real, n_splits=scalar,
    )  # fmt: skip
    even = ("n_vocab", "n_hidden", "stride_h", "stride_w", "stride_l", "stride_e", "stride_out", "n", "k_total")

    def scan(
        name, mode, *, store=False, bias=True, softcap=False, flagged=False, counts=False, v0=False, tma=True, wants=(),
        dtype=bf16,
    ):  # fmt: skip
        tiles = _tune.scan(dtype, from_logits=v0, lean=softcap or flagged or not tma)
        short = {torch.float32: "fp32", torch.float16: "fp16"}.get(dtype, "bf16")
        stored = "fp32" if dtype == torch.float32 else "bf16"
        block = lambda r, c, kind=short: f"tensordesc<{kind}[{r}, {c}]>"
        by_tma = tma and not v0
        signature = common | {
            "h": block(tiles.block_m, tiles.block_k) if by_tma else half,
            "w": block(tiles.block_n, tiles.block_k) if by_tma else half,
            "out_e": block(tiles.block_m, tiles.block_n // _tune.parts(v0), stored) if by_tma and store else half,
        }
        constants = dict(
            MODE=mode, FROM_LOGITS=v0, TMA=by_tma, STORE_E=store, TMA_STORE=by_tma and store, ENTROPY=mode != 1,
            HAS_BIAS=bias, HAS_SOFTCAP=softcap, FLAGGED=flagged, HAS_COUNTS=counts, INTERPRETED=False,
            PRECISION="tf32x3" if dtype == torch.float32 else "ieee", PARTS=_tune.parts(v0), BLOCK_M=tiles.block_m, BLOCK_N=tiles.block_n, BLOCK_K=tiles.block_k,
            TILES=_tune.SPLIT_COLUMNS // tiles.block_n,
        )  # fmt: skip
        add(
            f"linear_logp scan: {name}", logp.scan_kernel, signature, constants, warps=tiles.num_warps,
            stages=tiles.num_stages, divisible=even, wants=wants,
        )  # fmt: skip

    both = ("wgmma", "tma")
    scan("forward only", 0, bias=False, wants=both)
    scan("forward only, banned ids", 0, wants=both)
    scan("forward + E", 0, store=True, bias=False, wants=both)
    scan("forward + E, banned ids", 0, store=True, wants=both)
    scan("forward + E, masked rows", 0, store=True, counts=True, wants=both)
    scan("forward + E, softcap", 0, store=True, softcap=True, wants=both)
    scan("rescue: maxima", 1, flagged=True, wants=both)
    scan("rescue: sums + E", 0, store=True, flagged=True, wants=both)
    scan("coefficients", 2, store=True, wants=both)
    scan("coefficients, softcap, masked rows", 2, store=True, softcap=True, counts=True, wants=both)
    scan("forward + E, no TMA (odd strides)", 0, store=True, tma=False, wants=("wgmma",))
    scan("forward + E, fp16 inputs", 0, store=True, dtype=torch.float16, wants=both)
    scan("forward + E, fp32 inputs (3 x tf32)", 0, store=True, dtype=torch.float32, wants=("tma",))
    scan("v0: logits in memory + E", 0, store=True, v0=True)
    scan("v0: rescue: maxima", 1, flagged=True, v0=True)

    def gemm(name, *, tma, trans, counts, wants=both, b=half):
        tiles = _tune.gemm(bf16, lean=not tma)
        signature = dict(
            a=f"tensordesc<bf16[{tiles.block_m}, {tiles.block_k}]>" if tma else half,
            b=f"tensordesc<bf16[{tiles.block_k}, {tiles.block_n}]>" if tma else b,
            out=f32, counts=i32, row0=scalar, m=scalar, n=scalar, k_total=scalar, stride_a=scalar, stride_b=scalar,
            stride_out=scalar,
        )  # fmt: skip
        constants = dict(
            TMA=tma, TRANS_A=trans, ADD=trans, HAS_COUNTS=counts, INTERPRETED=False, PRECISION="ieee",
            BLOCK_M=tiles.block_m, BLOCK_N=tiles.block_n, BLOCK_K=tiles.block_k,
        )  # fmt: skip
        add(
            name, logp.gemm_kernel, signature, constants, warps=tiles.num_warps, stages=tiles.num_stages,
            divisible=(*even, "m", "stride_a", "stride_b"), wants=wants,
        )  # fmt: skip

    gemm("linear_logp GEMM 2", tma=True, trans=False, counts=False)
    gemm("linear_logp GEMM 2, masked rows", tma=True, trans=False, counts=True)
    gemm("linear_logp GEMM 2, fp16 head", tma=False, trans=False, counts=False, wants=("wgmma",), b="*fp16")
    gemm("linear_logp ∂W", tma=False, trans=True, counts=False, wants=("wgmma",))
    block_r, block_h = _tune.rows_by_hidden(2048)
    add(
        "linear_logp target logits", logp.anchor_kernel,
        common | dict(h=half, w=half, logits=half, hint=f32, z_target=f64, slope=f32, elsewhere=real),
        dict(HAS_BIAS=True, HAS_SOFTCAP=False, HAS_HINT=True, FROM_LOGITS=False, BLOCK_R=16, BLOCK_H=128),
        warps=4, stages=3, divisible=even,
    )  # fmt: skip
    for phase, name in enumerate(("sums", "levels", "rescued sums")):
        add(
            f"linear_logp settle: {name}", logp.settle_kernel,
            common | dict(z_target=f64, total=f64, first=f64, raise_above=real, lost_below=real),
            dict(PHASE=phase, BLOCK_R=64), warps=4, stages=3,
        )  # fmt: skip
    add(
        "linear_logp finish", logp.finish_kernel,
        common | dict(z_target=f64, total=f64, first=f64, slope=f32, order=i64, role=i32, logp=f32, lse=f32, row_stats=f32),
        dict(ENTROPY=True, HAS_ORDER=True, BLOCK_R=64), warps=4, stages=3,
    )  # fmt: skip
    add(
        "linear_logp Jacobian", logp.jacobian_kernel,
        common | dict(d_rows=f32, w=half, order=i64, row_stats=f32, jac=half),
        dict(HAS_ORDER=False, INTERPRETED=False, BLOCK_R=block_r, BLOCK_H=block_h), warps=4, stages=3, divisible=even,
    )  # fmt: skip
    add(
        "linear_logp backward (row scale)", logp.scale_rows_kernel,
        dict(jac=half, g_logp=f32, out=half, n_rows=scalar, n_hidden=scalar),
        dict(INTERPRETED=False, BLOCK_R=block_r, BLOCK_H=block_h), warps=4, stages=3, divisible=even,
    )  # fmt: skip
    add(
        "logp_from_logits gradient", logits.gradient_kernel,
        dict(logits=half, out=half, target=i64, inv_t=f64, shut="*i8", coefficient=f32, entropy_coefficient=f32,
             at_target=f32, entropy=f32, lse=f32, n_vocab=scalar, stride_l=scalar, stride_o=scalar, softcap=real),
        dict(HAS_SHUT=False, HAS_SOFTCAP=False, ENTROPY=False, INTERPRETED=False, BLOCK=4096),
        warps=4, stages=3, divisible=(*even, "stride_o"),
    )  # fmt: skip
    numbers = ["low", "high", "delta", "dual_clip", "beta", "kl_log_clamp", "kl_clamp", "cap", "entropy_coef", "nll_coef", "tau_pos", "tau_neg", "side_low", "side_high", "extra_0", "extra_1", "extra_2", "extra_3"]
    vectors = ["logp", "adv", "normalizer", "entropy_normalizer", "old", "ref", "sampler", "entropy", "weights", "extra", "g_logp", "g_entropy", "parts"]
    signature = {n: real for n in numbers} | {n: f32 for n in vectors}
    signature |= {"mask": "*i8", "offsets": i64, "n_tokens": scalar, "n_seq": scalar}
    for name, sequence in (("token level", False), ("sequence level", True)):
        add(
            f"policy_loss: {name}, every term", objective.objective_kernel, signature,
            dict(LOSS=0, KL=3, CORRECTION=1, SEQUENCE_RATIO=sequence, SEQUENCE_CORRECTION=sequence,
                 KL_TIMES_RATIO=False, PER_SEQUENCE_MEAN=sequence, PER_TOKEN_ADV=False, HAS_MASK=True, HAS_OLD=True,
                 HAS_REF=True, HAS_SAMPLER=True, HAS_ENTROPY=True, HAS_WEIGHTS=True, N_EXTRA=1, BLOCK=1024),
            warps=4, stages=3,
        )  # fmt: skip
    add(
        "policy_loss totals", objective.total_kernel, dict(parts=f32, loss=f32, metrics=f32, n_seq=scalar),
        dict(BLOCK=64), warps=4, stages=3,
    )  # fmt: skip
    add(
        "group_advantage", group.group_kernel,
        dict(rewards=f32, weights=f32, offsets=i32, advantages=f32, reward=f32, mean_out=f32, std_out=f32,
             count_out=i64, live_out="*i8", n_rows=scalar, n_components=scalar, epsilon=real),
        dict(MODE=2, BLOCK=32), warps=4, stages=3,
    )  # fmt: skip
    add("pack_vision: equal images", packing._first_use, dict(image_key=i32, first=i32, I=scalar), dict(BLOCK=256),
        warps=4, stages=3)  # fmt: skip
    plan = {p.name: i32 for p in packing._plan.params[:14]} | {n: scalar for n in ("T", "S", "I", "total_visual")}
    add("pack_vision: plan", packing._plan, plan, dict(image_token_id=151_655, merge=2, BLOCK=256), warps=4, stages=3)
    tile = lambda width: dict(D=width, ROWS=4096 // min(width, 1024), BLOCK=min(width, 1024))
    add("pack_embed", packing._gather, dict(table=half, visual=half, row_map=i32, out=half, T=scalar), tile(2048),
        warps=4, stages=3)  # fmt: skip
    add("deepstack_add", packing._deepstack_add, dict(hidden=half, feature=half, rows=i32, src=i32, n=scalar), tile(2048),
        warps=4, stages=3)  # fmt: skip
    keys = dict(grad=half, cu_q=i32, cu_k=i32, parent=i32, out=half, T=scalar, S=scalar, STEPS=scalar)
    add("gather_kv gradient", packing._kv_gather_backward, keys, tile(1024), warps=4, stages=3)
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
            found.append(f"{row['kernel']}: spills {row['spilled_bytes']} bytes, {row['local_accesses']} local accesses")
        if "wgmma" in row["wants"] and not row["wgmma"]:
            found.append(f"{row['kernel']}: no wgmma")
        if "tma" in row["wants"] and not row["tma_loads"]:
            found.append(f"{row['kernel']}: no TMA loads")
    return found


def table(rows: list[dict]) -> str:
    head = "| kernel | registers | spills | shared KB | threads | occupancy | wgmma | TMA ld/st | load bits | store bits |"
    lines = [head, "|---" * 10 + "|"]
    for r in rows:
        bits = lambda widths: " ".join(map(str, widths)) or "-"
        lines.append(
            f"| {r['kernel']} | {r['registers']} | {r['spilled_bytes']} | {r['shared_bytes'] / 1024:.0f} | {r['threads']} | "
            f"{r['occupancy']:.0%} | {r['wgmma']} | {r['tma_loads']}/{r['tma_stores']} | {bits(r['load_bits'])} | "
            f"{bits(r['store_bits'])} |"
        )
    return "\n".join(lines)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="bench.compile_report", description=__doc__.splitlines()[0])
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
