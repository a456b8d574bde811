DOCKER ?= docker
IMAGE_ARGS ?=
BIN ?= .venv/bin

# The tests that see most mistakes soonest; the whole suite takes several times as long.
QUICK = api components/test_registry.py components/test_faults.py config docs/test_house.py docs/test_contributing.py \
	engine/checkpoint/test_checkpoint.py engine/data/test_batches.py engine/sampling engine/test_loop.py \
	engine/test_rollback_decision.py engine/health/test_offender.py engine/health/test_sentinel.py \
	engine/update/test_game.py engine/update/test_golden_losses.py engine/update/test_schedule.py \
	plugins/losses plugins/optimizers plugins/priors outputs/test_run_folder.py outputs/test_metrics_log.py

.PHONY: help install lint quick test ci docs image-cpu image-cuda image-test pins

help:  ## this list
	@sed -n 's/^\([a-z -]*\):.*## /\1	/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "make %-22s %s\n", $$1, $$2 }'

install:  ## .venv with everything for development
	python3 -m venv .venv
	.venv/bin/pip install -e '.[dev]'

lint:  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

quick:  ## ruff, and the tests of the core on all cores
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m 'not slow and not gpu and not real_data' $(addprefix tests/,$(QUICK))

test:  ## the default suite
	$(BIN)/pytest

ci:  ## everything that must hold before a change lands, in a new .venv
	bash .ci/run

docs:  ## the documentation site in build/site
	$(BIN)/python docs/build_pages.py
	$(BIN)/zensical build --strict --config-file mkdocs.yml

# IMAGE_ARGS="--build-arg BASE=... --build-arg TORCH_INDEX=..."; what they do is in docker/Dockerfile.
image-cpu image-cuda: image-%:  ## the image for this device
	DOCKER_BUILDKIT=1 $(DOCKER) build --file docker/Dockerfile --target $* --tag ganforge:$* \
		--build-arg REVISION=$$(git rev-parse HEAD) $(IMAGE_ARGS) .

image-test:  ## the image, end to end
	bash .ci/docker

# Run it on Linux, after the tests have passed.
pins:  ## the versions in .venv become those of the image
	.venv/bin/python docker/pins.py
