# make train   set up .venv and train the default run          make test   the same set-up, then the tests
# make gpu     correctness and benchmarks on this GPU          make bench  kernel benchmarks, small shapes on a CPU
# ARGS="..."   goes to the command: make train ARGS="seed=1"

PYTHON ?= python3
VENV   ?= .venv
RUN    := PYTHONPATH=kernels:. $(VENV)/bin/python
STAMP  := $(VENV)/.installed
WORKERS ?= 2
ARGS   ?=

.PHONY: train test bench gpu test-vllm lint clean

train: $(STAMP)
	$(RUN) -m nsrl.train $(ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

bench: $(STAMP)
	$(RUN) -m pytest bench --benchmark-only --benchmark-group-by=group $(ARGS)

# Runs with the machine's own python when it already has torch with CUDA, else in the environment above.
gpu:
	@if $(PYTHON) -c 'import torch, triton, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then \
	  PYTHONPATH=kernels:. $(PYTHON) -m bench.gpu --out bench/results $(ARGS); \
	else $(MAKE) $(STAMP) && $(RUN) -m bench.gpu --out bench/results $(ARGS); fi

lint: $(STAMP)
	$(VENV)/bin/ruff check .

test-vllm:
	PYTHON=$(PYTHON) bash tests/vllm/run.sh $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "nsrl needs Python 3.11 or newer"; exit 2; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --upgrade pip
	$(VENV)/bin/python -m pip install -q -c constraints.txt -e '.[train,test]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
