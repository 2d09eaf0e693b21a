# Everything happens in .venv, with the versions in constraints/. Each step leaves a stamp there and is done again only
# if what it depends on has changed.
#
#   make reproduce   install, run the main job, say where the report is
#   make test        install, run the tests
#   make lint bench build clean
#
#   make reproduce PYTHON=python3.12                                  a certain interpreter, if there is no .venv yet
#   make reproduce TORCH_INDEX=https://download.pytorch.org/whl/cpu   torch from another package index

.DELETE_ON_ERROR:
.DEFAULT_GOAL := reproduce
.PHONY: reproduce test lint bench build clean

VENV := .venv
BUILD := build/dev

# The first interpreter on the PATH that fourfold supports.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& echo "$$python" && break; done)
endif

VENV_PYTHON := $(VENV)/bin/python
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check
CONSTRAINTS = "constraints/py$$($(VENV_PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt"
INSTALL = $(PIP) install -c $(CONSTRAINTS) --no-build-isolation --config-settings=build-dir=$(BUILD) -e

CXX_SOURCES := CMakeLists.txt $(shell find cmake csrc -type f)
PACKAGE_FILES := pyproject.toml python/fourfold/_version.py

reproduce: $(VENV)/.built
	$(VENV_PYTHON) -m fourfold.cli reproduce -o report
	@echo "The report is $(CURDIR)/report/index.html"

test: $(VENV)/.test $(VENV)/.built
	$(VENV_PYTHON) -m pytest -n auto $(PYTEST_ARGS)
	$(VENV)/bin/cmake -G Ninja -S tests/csrc -B build/csrc
	$(VENV)/bin/cmake --build build/csrc
	$(VENV)/bin/ctest --test-dir build/csrc --output-on-failure

lint: $(VENV)/.dev $(VENV)/.built
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	find csrc tests/csrc \( -name '*.[ch]pp' -o -name '*.cu' \) -exec $(VENV)/bin/clang-format --dry-run -Werror {} +
	$(VENV_PYTHON) -m mypy

bench: $(VENV)/.bench $(VENV)/.built
	for name in nlse nlse_analysis nlse_gradients threads pc_codec kan kan_bases gp; do \
		$(VENV_PYTHON) "benchmarks/$$name.py" || exit 1; done

# C++ only; what is Python is live in an editable installation.
build: $(VENV)/.built

clean:
	rm -rf $(VENV) build dist

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.14 on the PATH; say make PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	touch $@

# The name holds the index, so that another one is another step.
ifneq ($(TORCH_INDEX),)
TORCH_STAMP := $(VENV)/.torch-$(firstword $(shell printf '%s' '$(TORCH_INDEX)' | cksum))
$(TORCH_STAMP): $(VENV)/.made
	rm -f $(VENV)/.torch-*
	$(PIP) install -c $(CONSTRAINTS) --force-reinstall --no-deps --index-url '$(TORCH_INDEX)' torch
	touch $@
endif

$(VENV)/.installed: $(VENV)/.made $(TORCH_STAMP) $(PACKAGE_FILES) $(wildcard constraints/*.txt)
	$(PIP) install -c $(CONSTRAINTS) scikit-build-core pybind11 cmake ninja
	$(INSTALL) '.[all]'
	touch $@

$(VENV)/.built: $(VENV)/.installed $(CXX_SOURCES)
	$(VENV)/bin/cmake $(BUILD)
	$(VENV)/bin/cmake --build $(BUILD)
	$(VENV)/bin/cmake --install $(BUILD) --component python \
		--prefix "$$($(VENV_PYTHON) -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
	touch $@

# The other extras; the package itself is in place.
$(VENV)/.test $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: $(VENV)/.installed
	$(INSTALL) '.[$*]'
	touch $@
