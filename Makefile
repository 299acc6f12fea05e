# Every target first sets up what it needs; when nothing changed, that takes no time.
SHELL := /bin/bash
# The first of these that runs and fits, or the one you name.
PYTHON ?= python3.12 python3.11 python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
GL := libegl1 libgl1 libgl1-mesa-dri

# MuJoCo draws without a screen.
export MUJOCO_GL ?= egl

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-slow fuzz check bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## virtual environment, pinned packages, system GL library, Chromium

demo: $(READY)  ## plan over HTTP, drive the robot, write pictures and a video to demo/
	$(BIN)/python -m server.demo

serve: $(READY)  ## the server with the shipped weights on 127.0.0.1:8000
	$(BIN)/python -m server

# One thread per worker: two workers that both use every core get in each other's way.
test: $(READY)  ## the default tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Alone, because some of them measure. Exit status 5 means that no test is marked slow.
test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow --timeout 1800 || [ $$? -eq 5 ]

fuzz: $(READY)  ## ten times as many broken requests and pictures as in the tests
	OMP_NUM_THREADS=1 WAYMARK_FUZZ_PICTURES=50000 WAYMARK_FUZZ_REQUESTS=20000 $(BIN)/python -m pytest \
		--timeout 3600 tests/server/http/test_picture_fuzz.py tests/server/http/test_openapi_fuzz.py

check: $(READY)  ## format, lint, types, import order
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy examples
	$(BIN)/lint-imports

bench: $(READY)  ## latency and throughput on this machine
	$(BIN)/python -m planner.benchmark --out results/bench.json
	$(BIN)/python -m server.benchmark --out results/serving.json

clean:  ## remove the virtual environment and all caches; data, runs and results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call debian,PACKAGES,WHY): install Debian packages where we may, say what to install where not.
define debian
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "$(2): installing $(1)"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1); \
else \
	echo "$(2): run 'sudo apt-get install $(1)', then make again." >&2; exit 1; \
fi
endef

$(READY): pyproject.toml constraints.txt
	@[ -n "$(python)" ] || { echo "Waymark needs Python 3.11 or 3.12, and no such one runs as" \
		"$(PYTHON); name another: make PYTHON=<path> $(MAKECMDGOALS)" >&2; exit 1; }
	@$(python) -c 'import ensurepip, venv' 2>/dev/null || { $(call debian,$(venv_package),This Python lacks venv); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(python) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,formats]'
	@$(draws) || { $(call debian,$(GL),MuJoCo needs a GL library to draw); }
	@$(draws) || { echo "MuJoCo still cannot draw with MUJOCO_GL=$$MUJOCO_GL; MUJOCO_GL=osmesa may." >&2; exit 1; }
	@$(browses) || ($(call debian,chromium,The tests of the page need a browser)) \
		|| echo "Without Chromium the tests of the page are skipped." >&2
	@touch $@

fits = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'
python = $(shell for python in $(PYTHON); do $$python $(fits) 2>/dev/null && echo $$python && break; done)
venv_package = $(shell $(or $(python),false) -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')
draws = $(BIN)/python -c 'import mujoco; mujoco.GLContext(8, 8)' 2>/dev/null
browses = command -v chromium chromium-browser google-chrome >/dev/null
