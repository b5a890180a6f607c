#!/usr/bin/env bash
# TRL's trainer and loss, verl's losses and estimators and Liger's own references as oracles, and their own tests with our
# adapters in their place, in an environment of its own: make test-peers
# Where its packages cannot be installed this says so and passes; a failing test fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${PEERS_VENV:-.venv-peers}"
if [ ! -f "$venv/.ready" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
  if ! "$venv/bin/python" -m pip install -q 'trl==1.16.0' 'liger-kernel==0.8.5' 'torch==2.13.0' 'transformers==5.23.0' \
      'peft==0.21.2' 'lightning==2.6.6' -e '.[train,test]'; then
    echo "test-peers: SKIPPED, the packages of the peers' environment cannot be installed here (see pip's message above)"
    exit 0
  fi
  # verl for its losses and estimators alone: without Ray and the rest that its package imports, and in a folder of its
  # own, for it brings a package called tests
  if ! "$venv/bin/python" -m pip install -q 'tensordict==0.15.3' 'omegaconf==2.4.0' ||
      ! "$venv/bin/python" -m pip install -q --no-deps --target "$venv/verl" 'verl==0.9.1'; then
    echo "test-peers: without verl, which cannot be installed here (see pip's message above)"
  fi
  # Liger's own tests are in its sdist (verl's come with its wheel)
  mkdir -p "$venv/sdists"
  if "$venv/bin/python" -m pip download -q --no-deps --no-binary liger-kernel -d "$venv/sdists" 'liger-kernel==0.8.5'; then
    mkdir -p "$venv/liger"
    tar -xzf "$venv"/sdists/liger_kernel-0.8.5.tar.gz -C "$venv/liger" --strip-components 1 liger_kernel-0.8.5/test
  else
    echo "test-peers: without Liger's own tests, which cannot be fetched here (see pip's message above)"
  fi
  touch "$venv/.ready"
fi
# importlib: with tests/ itself on the path its folder vllm would pass for the package, and TRL would import it.
OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" PYTHONPATH=kernels:. "$venv/bin/python" -m pytest -q --import-mode=importlib \
  -n "${WORKERS:-2}" --dist worksteal tests/peers "$@"
