# `make` lists what there is. ARGS="..." goes to the command: make train ARGS="seed=1"

PYTHON ?= python3
VENV   ?= .venv
RUN    := PYTHONPATH=kernels:. $(VENV)/bin/python
PIP    := $(VENV)/bin/python -m pip
# Three processes keep two cores busy: many tests wait for processes that they started. A test that does not end prints
# where it stands and fails, and the others go on.
TEST   := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(or $(WORKERS),3) --dist worksteal --timeout 1200 --timeout-method thread
STAMP  := $(VENV)/.installed
# What test-fast looks at: a file or folder of each room that starts no run and no kernel, without its longest files.
FAST   := tests/test_architecture.py tests/test_config.py tests/test_readme.py tests/install/test_pins.py tests/engines/nsl \
  tests/engines/wolfram tests/engines/algebra tests/engines/test_extract.py tests/answers tests/rewards tests/data tests/report/test_table.py \
  tests/ops/test_group_advantage.py tests/ops/test_linear_grpo.py tests/ops/test_linear_logp_reference.py \
  tests/rollout/test_parts.py tests/models/test_pack.py
# What `ruff format` lays out and E501 holds to 120 columns.
LAID_OUT := .
ARGS   ?=

.PHONY: help train paper gallery test test-fast test-long test-compile test-oldest test-tritons test-peers test-trl test-vllm check-pins lint layout types bench gpu install-gpu tree house clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

train: $(STAMP) ## set up .venv and train the default run
	$(RUN) -m nsrl.train $(ARGS)

paper: $(STAMP) ## which language should it think in: five languages and the mixture, three seeds, one table
	$(RUN) -m nsrl.experiment recipe=languages $(ARGS)

gallery: $(STAMP) ## which published methods matter on the small model: docs/gallery.md, in an hour or two
	$(RUN) -m nsrl.gallery publish=true $(ARGS)

test: $(STAMP) ## the same set-up, then the tests
	$(TEST) -m "not compiles and not long" $(ARGS)

test-long: $(STAMP) ## whole runs and big shapes, beside what make test has for them
	$(TEST) -m long tests $(ARGS)

test-compile: $(STAMP) ## every kernel compiled for the H200: spills, instructions; csrc/ on a CPU
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m compiles tests/ops tests/csrc $(ARGS)

test-fast: $(STAMP) ## a look at each room, in under a minute
	$(TEST) -k "not (triton or linear_time or attack or mathverify or nintegrate or algebra_pairs or answer_fuzz or compared or calculus or bridge or absent)" $(FAST) $(ARGS)

test-oldest: ## ops, sampler and policy on the oldest supported versions, in an environment of its own
	PYTHON=$(PYTHON) bash tests/install/oldest.sh $(ARGS)

test-tritons: $(STAMP) ## the kernels with every Triton that a supported torch brings
	$(RUN) tests/install/tritons.py $(ARGS)

test-peers: ## TRL, verl and Liger: the ops against theirs, their tests on the adapters, in an environment of its own
	PYTHON=$(PYTHON) bash tests/peers/run.sh $(ARGS)

test-trl: ## nsrl and TRL in a fresh environment: docs/in-trl.md's lines, 20 equal steps
	PYTHON=$(PYTHON) bash tests/install/in_trl.sh $(ARGS)

test-vllm: ## real vLLM on a CPU, in an environment of its own
	PYTHON=$(PYTHON) bash tests/vllm/run.sh $(ARGS)

check-pins: $(STAMP) ## do the pins of constraints.txt accept each other on every supported Python?
	$(RUN) tests/install/check_pins.py

lint: $(VENV)/.dev layout types ## ruff, its layout, pyright
	$(VENV)/bin/ruff check .

layout: $(VENV)/.dev ## of lint: lines of 120 columns, as ruff format lays them out
	$(VENV)/bin/ruff check -q --select E501 $(LAID_OUT)
	$(VENV)/bin/ruff format -q --check $(LAID_OUT)

types: $(VENV)/.dev ## of lint: pyright
	$(VENV)/bin/basedpyright --pythonpath $(VENV)/bin/python

$(VENV)/.dev: $(STAMP)
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	touch $@

bench: $(STAMP) ## kernel benchmarks, small shapes on a CPU
	$(RUN) -m pytest bench --benchmark-only --benchmark-group-by=group $(ARGS)

# Runs with the machine's own python when it already has torch with CUDA, else in the environment above.
gpu: ## correctness and benchmarks on this GPU, one JSON record
	@if $(PYTHON) -c 'import torch, triton, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then \
	  PYTHONPATH=kernels:. $(PYTHON) -m bench.gpu --out bench/results $(ARGS); \
	else $(MAKE) $(STAMP) && $(RUN) -m bench.gpu --out bench/results $(ARGS); fi

# setup.py says why where it builds nothing. flash-attn has to be compiled for the torch that is here, which can take hours.
install-gpu: $(STAMP) ## what a GPU run takes: packages, and csrc/ where nvcc is; FLASH=1 tries flash-attn too
	$(PIP) install -q -c constraints.txt 'setuptools>=77' wheel -e '.[train,gpu]'
	$(VENV)/bin/python setup.py -q build_ext --inplace --build-temp build/native
	@$(RUN) -c 'from nsrl_kernels import _native; print("install-gpu: native CUDA ops:", _native.why_not() or "built")'
ifdef FLASH
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[flash]' && echo "install-gpu: flash-attn is installed" || \
	  echo "install-gpu: flash-attn could not be installed (see above); attention runs without it"
else
	@echo "install-gpu: flash-attn is optional and not installed; make install-gpu FLASH=1 tries to build it"
endif

tree: ## every source file and what it is
	@$(PYTHON) .ci/tree.py

house: $(STAMP) ## what docs/ has from the source: the picture of the house, the tables of keys
	@$(RUN) .ci/house.py
	@$(RUN) .ci/configuration.py

clean: ## remove the environments and what was built
	rm -rf $(VENV) .venv-* build *.egg-info .pytest_cache .ruff_cache

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "nsrl needs Python 3.11 or newer"; exit 2; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q --upgrade pip
	$(PIP) install -q -c constraints.txt -e '.[train,test]'
	touch $@
