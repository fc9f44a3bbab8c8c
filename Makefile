PYTHON ?= python3
TORCH ?= torch==2.13.0
RUN := .venv/bin
FAULTS ?= --fault sigkill@step=7:rank=1 --fault sigkill@epoch=2,batch=3:rank=any
QUICK ?= tests/launch tests/samplers tests/test_architecture.py
COVERED ?= tests/launch tests/samplers tests/test_architecture.py tests/integration/test_import_names.py
SOAK ?= 50
BENCH ?= build/bench
SCALE ?= --ranks 16 --nodes 4
MODULE ?= launch/checks/state.py
COMPAT ?= 2.6.0 2.13.0 2.14.1

.DEFAULT_GOAL := help
.PHONY: help verify sweep simulate containers matrix slurm gpu quick fast test thorough coverage lint types check soak controls mutation bench peers docs compat clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST)

verify: .venv/installed ## kill ranks of the built-in job twice and prove that every batch that follows is right
	$(RUN)/resumable verify --nproc-per-node 4 $(FAULTS)

sweep: .venv/installed ## kill every rank of the built-in job after every step, each in a run of its own
	$(RUN)/resumable sweep --nproc-per-node 4

simulate: .venv/installed ## three nodes as containers: one dies and is replaced, one dies for good
	docker/engine.sh docker/simulate.sh

containers: .venv/installed ## the tests that need containers; `make test` skips them where no engine answers
	docker/engine.sh sh -c 'PYTHON=$(RUN)/python docker/image.sh && $(RUN)/pytest -m containers'

matrix: .venv/installed ## every node of three lost, replaced, preempted and cut off, as process trees and as containers: 76 runs
	docker/engine.sh docker/matrix.sh

slurm: .venv/installed ## jobs of a real Slurm on the loopback: a rank, a node, a preemption; skipped where it is not installed
	$(RUN)/pytest -rs tests/slurm

gpu: .venv/installed ## jobs on the GPUs of this machine, with NCCL: losses found, no false alarm, cost of a step; says so where there is none
	$(RUN)/python -m tests.gpu

test: .venv/installed ## run the tests
	$(RUN)/pytest -n 2 --dist loadfile -m 'not thorough'

thorough: .venv/installed ## run further forms of what the tests show
	$(RUN)/pytest -n 2 --dist loadfile -m thorough

quick: .venv/installed ## what a change needs first, in two minutes: style, types, and the tests that start no ranks
	@$(MAKE) --no-print-directory -j 3 lint types fast

fast: .venv/installed ## of what quick does, the tests alone
	$(RUN)/pytest -n 2 --dist loadfile -m 'not slow and not integration and not containers and not thorough' $(QUICK)

coverage: .venv/installed ## how much of the code the tests of COVERED run, subprocesses included
	$(RUN)/coverage erase && $(RUN)/coverage run -m pytest -n 2 --dist loadfile $(COVERED) && $(RUN)/coverage combine --quiet && $(RUN)/coverage report

lint: .venv/installed ## check style and format
	$(RUN)/ruff check . && $(RUN)/ruff format --check .

types: .venv/installed ## check types
	$(RUN)/mypy

check: lint types test ## lint, types and test

soak: .venv/installed ## verify the built-in job SOAK times (50), each under other faults
	$(RUN)/python -m tests.soak --num-runs $(SOAK)

controls: .venv/installed ## sweep jobs with planted bugs: each found at every point where it must show, and nowhere else
	$(RUN)/python -m tests.mutants.campaign

mutation: .venv/installed ## change MODULE, one of those that judge, bit by bit, and list the changes that no test notices; minutes
	$(RUN)/python -m tests.mutation $(MODULE)

bench: .venv/bench ## measure samplers, launcher and many ranks (SCALE="--ranks 32 64 --nodes 12"), beside others; all goes to BENCH
	$(RUN)/python -m tests.benchmarks.samplers $(BENCH) && $(RUN)/python -m tests.benchmarks.launch $(BENCH) && $(RUN)/python -m tests.benchmarks.launch.scale $(BENCH) $(SCALE)

peers: build/peers/venv/installed ## kill jobs of other stacks where it hurts, and write the scoreboard; an hour or two
	build/peers/venv/bin/python -m tests.peers

docs: .venv/installed ## write the API reference out of docstrings, pages that need no network, into build/docs
	$(RUN)/python .build/docs.py build/docs

compat: ## run the core of the suite with each release of torch in COMPAT, in an environment of its own
	$(PYTHON) -m tests.compat $(COMPAT)

clean: ## remove the virtual environment and everything generated
	rm -rf .venv build dist runs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/torch: .venv/bin/python
	$(RUN)/pip install --quiet $(TORCH) && touch $@

.venv/installed: .venv/torch pyproject.toml
	$(RUN)/pip install --quiet -e '.[dev]' && touch $@

.venv/bench: .venv/installed
	$(RUN)/pip install --quiet -e '.[bench]' && touch $@

build/peers/venv/installed: tests/peers/requirements.txt pyproject.toml
	$(PYTHON) -m venv build/peers/venv && build/peers/venv/bin/pip install --quiet $(TORCH)
	build/peers/venv/bin/pip install --quiet -e . -r tests/peers/requirements.txt && touch $@
