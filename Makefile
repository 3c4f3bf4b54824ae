# What people run. `make demo` and `make test` need nothing but Python 3.10+ with venv and a package index.
PYTHON ?= python3
VENV ?= .venv
OLDEST ?= .venv-oldest
DEMO ?= ckpt-migrate-demo
SEEDS ?= 20
REALSTORES ?= ../shared/realdata/stores.tar.gz
SECONDS ?= 60
COUNT ?= 10000
STEP ?= 1
ECHARTS ?= 6.1.0
BIN := $(VENV)/bin
BROWSER := $(or $(CHROMIUM),$(shell command -v chromium || command -v google-chrome))
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-browser test-install docs pictures man test-oldest lint eval real-truth fuzz bench bench-apply bench-report report-library crash kills \
	faults power-cuts harmed-logs stories clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,lint]'
	touch $@

$(OLDEST)/.installed: pyproject.toml tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP_INSTALL) --constraint tests/oldest.txt --editable '.[test]' setuptools
	touch $@

# The main job on a legacy tree and a real MLflow store, both made on the spot.
demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/ckpt-migrate demo $(DEMO)

# Where there is a Chromium, on the path or named by CHROMIUM, the report is tested in it, too.
test: lint $(if $(BROWSER),$(VENV)/.installed-browser)
	$(BIN)/python -m pytest -n 2

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,browser]'
	touch $@

test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest tests/report -rs

# The pictures of the report in README and documentation, made anew of the demo tree.
pictures: $(VENV)/.installed-browser
	$(BIN)/python docs/screenshots.py

# The documentation as a site in site/; every warning is an error.
docs: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The manual pages in man/, made from the commands; a test holds them against each other.
man: $(VENV)/.installed-dev
	$(BIN)/python docs/manual.py

# What people install: the wheel by pip, pipx and uv tool, the sdist by pip, each into an environment of its own.
test-install: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) build pipx uv
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/install.sh

# The same with the oldest versions that pyproject.toml allows (MLflow 2.9; needs Python 3.10 or 3.11).
test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -n 2

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Matching on worlds of known truth, beside simpler ways of matching; and on worlds grown on real runs, where they are.
eval: $(VENV)/.installed-dev
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,eval]'
	$(BIN)/python -m evaluation --seeds $(SEEDS)
	$(if $(wildcard $(REALSTORES)),$(BIN)/python -m evaluation --real $(REALSTORES) --seeds $(SEEDS))

# Plans of real projects held against what is known of them: make real-truth REALDATA=stores.tar.gz
real-truth: $(VENV)/.installed-dev
	$(BIN)/python -m evaluation.real_truth $(REALDATA)

# Break files of every kind that readers read; with atheris where there is one for this Python and system.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python $(PIP_INSTALL) --editable '.[test,fuzz]'
	$(BIN)/python -m evaluation.fuzz --seconds $(SECONDS)

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/bench_stores.py --runs 10000
	$(BIN)/python benchmarks/bench_stores.py --runs 10000 --times 10 --rounds 1
	$(BIN)/python -m benchmarks.bench_server
	PYTHONPATH=.:tests $(BIN)/python benchmarks/bench_scan.py
	$(BIN)/python benchmarks/bench_matching.py
	$(BIN)/python -m benchmarks.bench_plan
	$(BIN)/python benchmarks/bench_load.py
	$(BIN)/python benchmarks/bench_apply.py
	$(BIN)/python -m benchmarks.bench_references

# The page of plans of 10, 1,000 and 10,000 directories in a real browser: its size, and how soon it can be used.
bench-report: $(VENV)/.installed-browser
	$(BIN)/python -m benchmarks.bench_report

# Apply, rollback and the reading of a plan alone, with COUNT directories (make bench-apply COUNT=100000 takes minutes).
bench-apply: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/bench_apply.py $(COUNT)
	$(BIN)/python benchmarks/bench_load.py $(COUNT)

# Kills, failing calls and power cuts at every step of apply and rollback (STEP=n: every n-th), logs harmed at every byte,
# then random stories of them; prints how many states were tried and how many were lost.
# Each is a target of its own, too. Kills and failing calls need strace; power cuts need root, loop devices and the tools
# of ext4, XFS and Btrfs, and are skipped where those are missing.
crash: kills faults power-cuts harmed-logs stories

kills: $(VENV)/.installed-dev
	PYTHONPATH=.:tests $(BIN)/python -m trees.crash $(STEP)

faults: $(VENV)/.installed-dev
	PYTHONPATH=.:tests $(BIN)/python -m trees.faults $(STEP)

power-cuts: $(VENV)/.installed-dev
	PYTHONPATH=.:tests $(BIN)/python -m trees.power $(STEP)

harmed-logs: $(VENV)/.installed-dev
	PYTHONPATH=.:tests $(BIN)/python -m trees.logs $(STEP)

stories: $(VENV)/.installed-dev
	STORIES=500 $(BIN)/python -m pytest -q tests/executor/test_stories.py

# The report's charting library as its project publishes it (needs npm); its version stands in the library's README.
report-library:
	npm pack --silent --pack-destination /tmp echarts@$(ECHARTS)
	tar -xzf /tmp/echarts-$(ECHARTS).tgz -C ckpt_migrate/report/library --strip-components 1 --no-same-owner \
	  package/LICENSE package/NOTICE package/licenses/LICENSE-d3
	tar -xzOf /tmp/echarts-$(ECHARTS).tgz package/dist/echarts.common.min.js > ckpt_migrate/report/library/echarts.common.min.js
	sha256sum ckpt_migrate/report/library/echarts.common.min.js

clean:
	rm -rf $(VENV) $(OLDEST) $(DEMO) site .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
