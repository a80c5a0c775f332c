# `make run` and `make test` need Python 3.11 or later and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

# One stamp file for each lock file: a target installs what it needs, once, and again when the lock changes.
$(VENV)/%.installed: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing requirements/$*.txt into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The tools for scripts and styles come from npm. `make run` and `make test` do without them.
node_modules/.installed: package-lock.json
	@command -v npm >/dev/null || { echo "The checks of scripts and styles need Node.js with npm: https://nodejs.org"; exit 1; }
	@echo "Installing package-lock.json into node_modules ..."
	@npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: run
run: $(VENV)/base.installed ## start the chat on PORT (8000), with SQLite and a demo account
	@$(BIN)/python -m nousproject

.PHONY: test
test: $(VENV)/test.installed ## the whole suite; SQLite unless DATABASE_URL says otherwise
	@$(BIN)/python -m pytest $(ARGS)

TEMPLATES = $(shell git ls-files '*.html')

.PHONY: lint
lint: $(VENV)/dev.installed node_modules/.installed ## linters and formatters: Python, scripts, styles, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	node_modules/.bin/biome check --error-on-warnings
	$(BIN)/djade --target-version 5.2 --check $(TEMPLATES)
	$(BIN)/djlint --lint --quiet $(TEMPLATES)

.PHONY: check
check: lint ## every quality gate: lint, format, types, Django's checks, the suite
	$(BIN)/mypy
	DEBUG= SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	  ALLOWED_HOSTS=example.org REDIS_URL=redis://127.0.0.1:6379/0 \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m pytest $(ARGS)

.PHONY: bench
bench: $(VENV)/test.installed ## measure the site beside a bare relay; prints the table of docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/test.installed ## each state of the page in both themes, wide and small, into var/screenshots
	@$(BIN)/python -m tests.support.screenshots $(ARGS)

.PHONY: words
words: $(VENV)/dev.installed ## take new words into the translations and compile them; needs GNU gettext
	for domain in django djangojs; do $(BIN)/python manage.py makemessages --domain $$domain --all --no-location --no-wrap \
	  --no-obsolete --ignore vendor --ignore tests --ignore var --ignore .venv --ignore node_modules || exit 1; done
	$(BIN)/python manage.py compilemessages --ignore .venv

.PHONY: chaos
chaos: $(VENV)/test.installed ## SEEDS (20) schedules of faults from SEED (1) on, or a soak of SOAK seconds
	@$(BIN)/python -m tests.chaos $(if $(SOAK),--soak $(SOAK),--seeds $(or $(SEEDS),20) --seed $(or $(SEED),1)) $(ARGS)

.PHONY: format
format: $(VENV)/dev.installed node_modules/.installed ## let the formatters lay out Python, scripts, styles, templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	node_modules/.bin/biome check --write
	-$(BIN)/djade --target-version 5.2 $(TEMPLATES)

.PHONY: lock
lock: $(VENV)/dev.installed ## resolve requirements/*.in into *.txt, with hashes, for every platform and Python
	for name in base prod test dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --output-file requirements/$$name.txt requirements/$$name.in || exit 1; done

.PHONY: release
release: $(VENV)/dev.installed ## build the wheel, check it and try it in an empty project; publishes nothing
	@$(BIN)/python .ci/release.py

.PHONY: vendor
vendor: ## the page's libraries from npm, as requirements/vendor.py names them; needs npm
	@$(PYTHON) requirements/vendor.py
