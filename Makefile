# make demo | test | lint | audit | bench | serve | docs | clean — each sets up what it needs.

DATA ?= ../shared/data/relevance
PROFILE ?= demo
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
UNSAFE := torch\.load\(|pickle\.loads?\(|(^|[^.[:alnum:]_])eval\(|trust_remote_code=True|yaml\.load\(

export PINRANK_DATA = $(DATA)
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false
export RAY_USAGE_STATS_ENABLED = 0
export OMP_WAIT_POLICY = passive
export RAY_worker_niceness = 0
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo full test lint bench serve docs lock tools audit clean

demo: $(READY)
	$(BIN)/python -m pipelines.demo --profile $(PROFILE) --data $(DATA)

full: PROFILE = full
full: demo

test: $(READY) tools lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@! grep -rnE '$(UNSAFE)' --include=*.py platform pipelines serve_apps benchmarks || \
		{ echo "these run what they read: use safetensors, JSON, yaml.safe_load" >&2; exit 1; }

# Where pip-audit's database answers; else requirements/reasons.md says why each dependency is there.
audit: $(READY)
	@$(BIN)/uv tool run pip-audit --no-deps --disable-pip --strict -r requirements/cpu.txt \
		|| { echo "no verdict, or something was found: see above and requirements/reasons.md" >&2; exit 1; }

bench: $(READY)
	$(BIN)/python -m benchmarks

serve: $(READY)
	@test -e runs/demo/pin_store/manifest.json || { echo "runs/demo holds no student to serve. Run make demo first."; exit 2; }
	$(BIN)/python -m serve_apps.rerank.run serve_apps/rerank/app.yaml

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv runs site build .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/results.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf platform/*.egg-info

# The lock names every version that was tested. The CPU set leaves out what would pull in CUDA builds.
$(READY): requirements/cpu.txt requirements/cpu-excludes.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.8
	UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv pip install --quiet --compile-bytecode \
		--excludes requirements/cpu-excludes.txt --requirements requirements/cpu.txt
	$(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

# Programs that some tests start, each with the Debian package that has it. As root a missing one is installed; without,
# its tests are skipped, and in CI they fail (tests/debian.py).
TOOLS := promtool:prometheus ip:iproute2 nft:nftables redis-server:redis-server
MISSING = $(sort $(foreach tool,$(TOOLS),$(if $(shell command -v $(firstword $(subst :, ,$(tool)))),,$(lastword $(subst :, ,$(tool))))))

tools:
	@set -- $(MISSING); test $$# = 0 || if test "$$(id -u)" = 0 && command -v apt-get > /dev/null; then \
		export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; apt-get -qq update; \
		apt-get -qq install --no-install-recommends "$$@" > /dev/null || echo "could not install $$*" >&2; \
	else echo "skipping the tests that need $$*: sudo apt-get install $$*" >&2; fi

EXTRAS := $(addprefix --extra ,onnx redis aws tracing mlflow demo dev docs)

# Run after a change of dependencies; the GPU set must not see a local folder of CPU wheels.
lock:
	UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv pip compile --quiet --no-header --no-annotate \
		--excludes requirements/cpu-excludes.txt --python-version 3.11 \
		--extra cpu $(EXTRAS) pyproject.toml \
		| sed 's/+cpu$$//' | grep -v '^--' > requirements/cpu.txt
	UV_FIND_LINKS= $(BIN)/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 \
		--extra gpu $(EXTRAS) pyproject.toml \
		| grep -v '^--' > requirements/gpu.txt
	printf '%s\n' "google-api-python-client>=2.180" "cryptography>=46" \
		| UV_FIND_LINKS= $(BIN)/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 \
		--constraints requirements/gpu.txt - > requirements/gcp.txt
