# `make test`, `make quick` and `make demo` set up a virtual environment of their own in .venv, then do what they say.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: test quick demo check mutate clean

test: $(VENV)/.test
	@echo "cropdet: running the tests"
	$(BIN)/python -m pytest -n auto $(TESTS)

quick: $(VENV)/.test
	@echo "cropdet: running the tests that need no TensorFlow, no process of their own and no browser"
	$(BIN)/python -m pytest -n auto --quick $(or $(TESTS),tests pytest_cropdet)

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What decoders say of damaged images on standard error is thousands of lines; a crash is seen by the exit status.
mutate: $(VENV)/.test
	@echo "cropdet: reading files with mistakes drawn at random, for a minute"
	@OPENCV_LOG_LEVEL=SILENT $(BIN)/python benchmarks/mutate_data.py --seconds $(or $(MUTATE_SECONDS),60) --seed $(or $(MUTATE_SEED),1) 2>/dev/null

.PHONY: docs
docs: $(VENV)/.docs
	@command -v dot > /dev/null || { echo "cropdet: docs/architecture.md has a drawing that Graphviz makes, and there is no" \
	  "'dot': apt-get install graphviz (Debian, Ubuntu) or brew install graphviz (macOS)"; exit 1; }
	@echo "cropdet: building the pages; a warning is an error"
	$(BIN)/python -m sphinx -q -E -W --keep-going docs docs/_build
	@echo "cropdet: they are in docs/_build/index.html"

$(VENV)/.base: pyproject.toml
	@echo "cropdet: making the virtual environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "cropdet: Python 3.10 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

$(VENV)/.test: $(VENV)/.base
	@echo "cropdet: installing the package, its test tools and TensorFlow into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,tensorflow]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "cropdet: installing the package and Sphinx into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/.demo: $(VENV)/.base
	@echo "cropdet: installing the package and TensorFlow into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tensorflow,plot,report]'
	@touch $@

# Builds what is uploaded and uploads nothing; .github/workflows/release.yml does that for a tag.
.PHONY: release dist
release: $(VENV)/.release
	$(BIN)/python .ci/release_check.py source
	@$(MAKE) --no-print-directory dist

dist: $(VENV)/.release
	@rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python .ci/release_check.py built dist
	$(BIN)/python -m twine check --strict dist/*

.PHONY: wheel-test
wheel-test: dist
	bash .ci/wheel_test.sh $(BIN)/python dist

$(VENV)/.release: $(VENV)/.base
	@echo "cropdet: installing build and twine into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	@touch $@

clean:
	rm -rf $(VENV) build dist docs/_build .cropdet
