"""Every kernel compiles for Hopper without a GPU, spills nothing and uses the instructions its design relies on."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiles

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    out = tmp_path_factory.mktemp("report") / "rows.json"
    # a process of its own: this one may hold the interpreter's kernels; its path, so that it is the same Triton
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "bench.compile_report", "--json", str(out)],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert out.is_file(), done.stdout + done.stderr
    return done, json.loads(out.read_text())


def test_every_kernel_compiles_without_spills_and_uses_the_instructions_meant(report):
    """One test, so that parallel workers compile everything once."""
    done, content = report
    assert done.returncode == 0 and "no spills; every tensor-core kernel uses wgmma" in done.stdout, done.stdout
    rows = {row["kernel"]: row for row in content["rows"]}
    scan = rows["scan sums: forward + E"]
    assert scan["wgmma"] and scan["tma_loads"] and scan["tma_stores"]
    assert scan["shared_bytes"] <= 227 * 1024
    assert scan["per_exponential"] <= 9.6 and rows["scan sums: forward only"]["per_exponential"] <= 6
    assert max(rows["scan sums: forward + E, logits by cuBLAS"]["load_bits"]) == 128
    for name in ("jacobian: forward + E", "scale_rows: row scale", "gradient: logp_from_logits backward"):
        assert max(rows[name]["load_bits"]) == 128 and max(rows[name]["store_bits"]) == 128, name
    found = {row["kernel"].split(":")[0] for row in content["rows"] if row["language"] == "cuda"}
    assert content["cuda_missing"] or found == {source.stem for source in (ROOT / "csrc").glob("*.cu")}


def test_a_spill_or_a_missing_instruction_is_a_fault():
    from bench.compile_report import faults, occupancy, per_exponential, sass_counts

    good = {
        "kernel": "k",
        "spilled_bytes": 0,
        "local_accesses": 0,
        "wgmma": 4,
        "tma_loads": 1,
        "wants": ["wgmma", "tma"],
    }
    assert faults([good]) == []
    for change in ({"spilled_bytes": 8}, {"local_accesses": 2}, {"wgmma": 0}, {"tma_loads": 0}):
        assert len(faults([good | change])) == 1
    heavy = {"wants": ["lean, stored"], "per_exponential": 14.2}
    assert faults([good | heavy]) == ["k: 14.2 instructions an element"]
    assert faults([good | heavy | {"per_exponential": 9}]) == []
    code = ["@P0 BRA 0x40", "FSEL R0, R1", "FSEL R2, R3", "FFMA R0, R1", "MUFU.EX2 R0, R0", "BRA 0x0", "FMUL R1, R1"]
    sass = "\n".join(f"/*{16 * i:04x}*/ {text} ;" for i, text in enumerate(code))
    assert per_exponential(sass.replace("0x40", "0x30")) == 3 and per_exponential("/*0000*/ EXIT ;") is None
    counts = sass_counts("LDG.E.128.CONSTANT R4, desc; STG.E.U16 desc, R2; STL [R1], R0; HGMMA.64x256x16 R24;")
    assert counts["load_bits"] == [128] or counts["load_bits"] == [32]
    assert counts["store_bits"] == [16] and counts["local_accesses"] == 1 and counts["wgmma"] == 1
    assert occupancy(255, 147480, 256) == 0.125 and occupancy(32, 0, 256) == 1.0
