#!/usr/bin/env bash
# nsrl and TRL in a fresh environment, docs/in-trl.md's lines, 20 steps as TRL's own: make test-trl
# Where the packages cannot be installed this says so and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${TRL_VENV:-.venv-trl}"
if [ ! -f "$venv/.ready" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
  if ! "$venv/bin/python" -m pip install -q . 'trl==1.16.0' "$(grep '^torch==' constraints.txt)"; then
    echo "test-trl: SKIPPED, nsrl and TRL cannot be installed here (see pip's message above)"
    exit 0
  fi
  touch "$venv/.ready"
fi
PYTHONPATH=tests/peers OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" "$venv/bin/python" tests/install/in_trl.py
