#!/usr/bin/env bash
# The oldest supported versions (the lower bounds of pyproject.toml), in an environment of their own: make test-oldest
# torch too, where a build of its lower bound can be installed; else the pinned one. It says which torch it used. Where the
# packages cannot be installed this says so and passes; a failing test fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${OLDEST_VENV:-.venv-oldest}"
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || python="$(command -v python3.11 || true)"
if [ -z "$python" ]; then
  echo "test-oldest: SKIPPED, the oldest versions are those of Python 3.11, which is not on the PATH"
  exit 0
fi
skip() {
  echo "test-oldest: SKIPPED, the oldest versions cannot be installed here (see pip's message above)"
  exit 0
}
if [ ! -f "$venv/.ready" ] || [ pyproject.toml -nt "$venv/.ready" ]; then
  test -x "$venv/bin/python" || "$python" -m venv "$venv"
  pip=("$venv/bin/python" -m pip install -q)
  "${pip[@]}" --upgrade pip packaging || skip
  "$venv/bin/python" tests/install/check_pins.py oldest > "$venv/oldest.txt"
  if ! "${pip[@]}" -r "$venv/oldest.txt"; then
    echo "test-oldest: no build of $(grep '^torch==' "$venv/oldest.txt") for this machine; taking the pinned torch"
    grep -v -E '^(torch|triton)==' "$venv/oldest.txt" > "$venv/without.txt"
    "${pip[@]}" -r "$venv/without.txt" "$(grep '^torch==' constraints.txt)" || skip
    "${pip[@]}" --no-deps "$(grep '^triton==' "$venv/oldest.txt")" || skip
  fi
  touch "$venv/.ready"
fi
"$venv/bin/python" -c 'import torch, transformers, triton
print(f"test-oldest: torch {torch.__version__}, triton {triton.__version__}, transformers {transformers.__version__}")'
export PYTHONPATH=kernels:. OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$venv/bin/python" -m pytest -q -n "${WORKERS:-2}" --dist worksteal tests/ops tests/rollout tests/models/test_policy*.py "$@"
