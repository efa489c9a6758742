# `make` alone lists the targets: the text after `##` is the help.
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
# Test workers: a processor each, four at most; one file alone needs none.
JOBS ?= $(if $(T),0,logical)

.PHONY: help setup setup-dev setup-compat run test check bench seed shots format migrate lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv and install the locked requirements (only when the lock has changed)
	@scripts/install requirements.txt

setup-dev:
	@scripts/install requirements-dev.txt

setup-compat:
	@scripts/install requirements-compat.txt .venv-compat

run: setup ## Migrate the database and serve; SIGINT or SIGTERM drains and stops
	@$(BIN)/python gunicorn.conf.py # a bad setting is one sentence, before anything is touched
	@$(BIN)/flask db upgrade >/dev/null
	@exec $(BIN)/gunicorn --config gunicorn.conf.py wsgi:application

test: setup-dev setup-compat ## Run the whole suite; one file or folder with T=tests/test_house.py
	@scripts/ensure-chromium
	@$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadgroup $(T)

check: setup-dev ## Format, lint and types, changing nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .

bench: setup-dev ## Measure this checkout against its own local provider; options in ARGS
	@$(BIN)/python -m bench $(ARGS)

seed: setup ## Add a demo workspace with 30 days of usage
	@$(BIN)/flask seed

shots: ## Photograph pages of a running server into instance/shots; PAGES="/ /login"
	@scripts/shots $(PAGES)

format: setup-dev ## Format the code and apply the safe fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

migrate: setup ## Bring the database to the newest schema
	@$(BIN)/flask db upgrade

lock: setup-dev ## Remake the three lock files from requirements.in and its likes; UP=--upgrade
	@scripts/lock $(UP)

clean: ## Remove caches and reports; .venv, .venv-compat and instance/ stay
	@scripts/clean
