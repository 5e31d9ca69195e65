.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-gpu lint types bench bench-gpu figures zoo build docs \
	golden clean

# Python writes what it compiles: a later import is many times quicker.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
PYTEST := $(BIN)/pytest
FASHION := models_zoo/fashion
GARMENTS := models_zoo/garments

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	@touch $@

.venv/core: .venv/uv requirements.lock
	$(UV) --require-hashes -r requirements.lock
	@touch $@

.venv/dev: .venv/uv requirements-dev.lock
	$(UV) --require-hashes -r requirements-dev.lock
	@touch $@ .venv/core

.venv/wheel: .venv/core $(shell find ensemble -type f -not -name '*.pyc') pyproject.toml README.md
	rm -rf dist
	$(BIN)/uv build --quiet --wheel --out-dir dist
	$(UV) --no-deps --reinstall dist/*.whl
	@touch $@

setup: .venv/dev .venv/wheel ## Make .venv with everything for development

demo: .venv/wheel ## Run the fashion zoo over its 200 test images: a submission, and its accuracy
	$(BIN)/ensemble run --members $(FASHION)/*.onnx --tta hflip --images $(FASHION)/images \
		--sample $(FASHION)/sample_submission.csv --out submissions/demo --force
	$(BIN)/ensemble score submissions/demo/submission.csv $(FASHION)/labels.csv
	@echo "The submission lies in submissions/demo/submission.csv"

lint: .venv/dev ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev ## Check types
	$(BIN)/mypy

build: .venv/wheel ## Build the wheel into dist/ and install it

test: .venv/dev lint types build ## Lint, check types, build the wheel and test it
	$(PYTEST) -n auto

test-slow: .venv/dev build ## The tests that take minutes
	$(PYTEST) -m slow

test-gpu: .venv/dev build ## The tests that need an NVIDIA GPU
	$(PYTEST) -m gpu

bench: .venv/dev build ## Measure speed, memory and blends, for hours; see benchmarks/README.md
	$(BIN)/python models_zoo/imagenet_lite/build.py
	$(BIN)/python benchmarks/speed/run.py
	$(BIN)/python benchmarks/speed/parts.py
	$(BIN)/python benchmarks/speed/files.py
	$(BIN)/python benchmarks/early_exit/exit.py
	$(BIN)/python benchmarks/speed/start.py
	$(BIN)/python benchmarks/speed/int8.py
	$(BIN)/python benchmarks/speed/levers.py
	$(BIN)/python benchmarks/speed/pack.py
	$(BIN)/python benchmarks/speed/scale.py
	$(BIN)/python benchmarks/blends/blend.py
	$(BIN)/python benchmarks/blends/tune.py
	$(BIN)/python benchmarks/blends/honest.py

bench-gpu: .venv/dev build ## Measure CUDA, float16 and TensorRT; needs an NVIDIA GPU
	$(BIN)/python benchmarks/speed/gpu.py

figures: .venv/uv ## Count the code: sizes, complexity, imports
	$(BIN)/python benchmarks/figures.py

zoo: .venv/dev build ## Make what the zoos are made of, where it is missing (trains: an hour)
	$(BIN)/python $(FASHION)/train.py
	$(BIN)/python $(FASHION)/build.py
	$(BIN)/python $(GARMENTS)/train.py
	$(BIN)/python $(GARMENTS)/build.py
	$(BIN)/python models_zoo/imagenet_lite/build.py
	$(BIN)/python models_zoo/faces/build.py

docs: .venv/dev build ## Write the command reference and the pictures of the gallery anew
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_gallery.py

golden: .venv/dev build ## Write the golden files anew; on one machine nothing may change
	$(BIN)/python tests/whole/make_golden.py

clean: ## Remove what the other verbs made
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache
