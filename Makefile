# Two commands do everything: `make demo` and `make test`. Nothing has to be activated or installed before.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: docs demo test test-servers test-all check format setup setup-dev benchmark clean

demo: $(VENV)/.demo
	-@$(PY) main.py doctor --install --quiet
	$(PY) main.py demo --out demo

test: $(VENV)/.dev
	@$(PY) main.py doctor --install --quiet
	QT_QPA_PLATFORM=offscreen $(PY) -m pytest -n 2 --dist loadfile

# PostgreSQL and MariaDB with throw-away data on free ports of this machine, stopped afterwards; as root on Debian, servers
# that are missing are installed first.
test-servers: $(VENV)/.dev
	$(PY) -m tests.servers.start --install -- $(PY) -m pytest tests/servers

test-all: $(VENV)/.dev
	$(PY) -m tests.servers.start --install -- $(MAKE) test

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: $(VENV)/.dev
	$(PY) docs/plugins/make_api.py

benchmark: $(VENV)/.dev
	$(PY) -m benchmarks armnet

setup: $(VENV)/.demo
setup-dev: $(VENV)/.dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Crosslens needs Python 3.11 or newer; name one with: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0 --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
