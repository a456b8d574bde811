.PHONY: install lint test ci

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
