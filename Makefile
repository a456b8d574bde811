DOCKER ?= docker
IMAGE_ARGS ?=

.PHONY: install lint test ci image-cpu image-cuda image-test pins

install:
	python3 -m venv .venv
	.venv/bin/pip install -e '.[dev]'

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test:
	.venv/bin/pytest

ci:
	bash .ci/run

# IMAGE_ARGS="--build-arg BASE=... --build-arg TORCH_INDEX=..."; what they do is in docker/Dockerfile.
image-cpu image-cuda: image-%:
	DOCKER_BUILDKIT=1 $(DOCKER) build --file docker/Dockerfile --target $* --tag ganforge:$* \
		--build-arg REVISION=$$(git rev-parse HEAD) $(IMAGE_ARGS) .

image-test:
	bash .ci/docker

# Pins the image to the versions in .venv; run it on Linux, after the tests have passed.
pins:
	.venv/bin/python docker/pins.py
