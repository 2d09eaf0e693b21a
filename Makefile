VENV := .venv
PYTHON := $(VENV)/bin/python
build:
	"$(VENV)/bin/cmake" build/dev >build/dev/configure.log || { cat build/dev/configure.log; exit 1; }
	"$(VENV)/bin/cmake" --build build/dev
	"$(VENV)/bin/cmake" --install build/dev --component python --prefix "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
.PHONY: build
