# `make run` and `make test` need Python 3.11 or later and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Python keeps compiled modules, whatever the environment says: without them each test process compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

# One stamp file for each lock file: a target installs what it needs, once, and again when the lock changes. The lock names
# every package, so pip resolves nothing; Python compiles what it imports, a small part of all modules, when it does.
$(VENV)/%.installed: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing requirements/$*.txt into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r $<
	@touch $@

# The tools for scripts and styles come from npm. `make run` and `make test` do without them.
node_modules/.installed: package-lock.json
	@command -v npm >/dev/null || { echo "The checks of scripts and styles need Node.js with npm: https://nodejs.org"; exit 1; }
	@echo "Installing package-lock.json into node_modules ..."
	@npm ci --loglevel=error --no-audit --no-fund
	@touch $@

.PHONY: run
run: $(VENV)/base.installed ## start the chat on PORT (8000), with SQLite and a demo account
	@$(BIN)/python -m nousproject

# The tests run in two processes for each core; ARGS="-n 0" runs them in one, ARGS="-n 6" in six.
PARALLEL := -n auto --dist worksteal
FAST := -m "not site and not browser and not chaos"
# What a database or a channel layer can change. The rest of the suite never reaches either, or is about the page: it
# runs once, on SQLite.
BACKEND_TESTS := tests/store tests/realtime tests/runs tests/consumers tests/api tests/admin tests/site \
  tests/project/test_checks.py tests/project/test_chaos.py

.PHONY: test
test: $(VENV)/test.installed ## the whole suite; SQLite unless DATABASE_URL says otherwise
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

.PHONY: slow
slow: $(VENV)/test.installed ## the tests that .ci/run leaves out, because they take long and seldom find anything alone
	@$(BIN)/python -m pytest $(PARALLEL) -m slow $(ARGS)

.PHONY: fast
fast: $(VENV)/test.installed ## the tests that need no server process, no browser and no chaos
	@$(BIN)/python -m pytest $(PARALLEL) $(FAST) $(ARGS)

.PHONY: one
one: $(VENV)/test.installed ## one file, folder or test, in one process: TEST=tests/store/test_edits.py
	@$(BIN)/python -m pytest -n 0 $(or $(TEST),$(error TEST=tests/store/test_edits.py is missing)) $(ARGS)

.PHONY: layer
layer: $(VENV)/test.installed ## the tests of one layer: LAYER=store
	@$(BIN)/python -m pytest $(PARALLEL) tests/$(or $(LAYER),$(error LAYER=store is missing)) $(ARGS)

.PHONY: watch
watch: $(VENV)/dev.installed ## run the tests of what has changed since the last commit whenever you save; TEST= selects others
	@$(BIN)/ptw . --now --clear --delay 0.3 --patterns '*.py,*.js,*.html,*.css' --ignore-patterns '*/.venv/*,*/var/*' \
	  --runner $(CURDIR)/$(BIN)/python -m tests.support.changed $(TEST) $(ARGS)

.PHONY: backends
backends: $(VENV)/test.installed ## the tests that depend on database or channel layer, on a PostgreSQL and a Redis started for them
	@$(BIN)/python -m tests.support.backends $(BIN)/python -m pytest $(PARALLEL) $(BACKEND_TESTS) $(ARGS)

.PHONY: coverage
coverage: $(VENV)/dev.installed ## which lines the tests run in their own process; no threshold, and server processes do not count
	@$(BIN)/python -m pytest $(PARALLEL) $(FAST) --cov=chat --cov=nousproject --cov-report=term:skip-covered \
	  --cov-report=html:var/coverage $(ARGS)

.PHONY: matrix
matrix: $(VENV)/dev.installed ## `make fast` with each supported Django and each supported Python of this machine; ENDS=1: the two ends, without your own
	@$(BIN)/python -m tests.support.matrix $(if $(ENDS),--ends) -- $(PARALLEL) $(FAST) $(ARGS)

TEMPLATES = $(shell git ls-files '*.html')

.PHONY: lint
lint: $(VENV)/dev.installed node_modules/.installed ## linters, formatters, types: Python, scripts, styles, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	node_modules/.bin/biome check --error-on-warnings
	node_modules/.bin/tsc
	$(BIN)/djade --target-version 5.2 --check $(TEMPLATES)
	$(BIN)/djlint --lint --quiet $(TEMPLATES)

.PHONY: types
types: $(VENV)/dev.installed ## types of Python
	$(BIN)/mypy

.PHONY: quality
quality: lint types ## every gate but the tests: lint, types, Django's checks, migrations
	DEBUG= SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	  ALLOWED_HOSTS=example.org REDIS_URL=redis://127.0.0.1:6379/0 \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

.PHONY: check
check: quality test ## every gate: `make quality` and the whole suite

.PHONY: bench
bench: $(VENV)/test.installed ## measure the site and a bare relay; prints the table of docs/benchmarks.md
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
chaos: $(VENV)/test.installed ## the hypothesis tests with fresh examples, INPUTS (100,000) changed answers, then SEEDS (20) schedules of faults from SEED (1) on, or a soak of SOAK seconds
	@HYPOTHESIS_PROFILE=fresh $(BIN)/python -m pytest -q $(PARALLEL) -m hypothesis tests
	@$(BIN)/python -m tests.chaos.wires --inputs $(or $(INPUTS),100000) --seed $(or $(SEED),1)
	@$(BIN)/python -m tests.chaos $(if $(SOAK),--soak $(SOAK),--seeds $(or $(SEEDS),20) --seed $(or $(SEED),1)) $(ARGS)

.PHONY: abuse
abuse: $(VENV)/test.installed ## attack the site at full size while a bystander is measured; ATTACKS="pings forks" selects, ARGS=--all for every configuration
	@$(BIN)/python -m tests.abuse $(ATTACKS) $(ARGS)

.PHONY: rollout
rollout: $(VENV)/test.installed ## a rolling update of three processes behind nginx with READERS (24) readers, and the version before the newest migration, or of commit FROM, next to this one; on PostgreSQL and Redis; then the image, built in an empty environment
	@ROLLOUT_READERS=$(or $(READERS),24) $(if $(FROM),ROLLOUT_FROM=$(FROM)) $(BIN)/python -m tests.support.backends \
	  $(BIN)/python -m pytest -n 0 -s tests/site/test_nginx.py tests/site/test_versions.py \
	  tests/project/test_deploy.py $(ARGS)

.PHONY: format
format: $(VENV)/dev.installed node_modules/.installed ## let the formatters lay out Python, scripts, styles, templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	node_modules/.bin/biome check --write
	-$(BIN)/djade --target-version 5.2 $(TEMPLATES)

.PHONY: lock
lock: $(VENV)/dev.installed ## resolve pyproject.toml and requirements/*.in into requirements/*.txt, with hashes, for every platform and Python
	for set in base:server,redis prod:server,redis,postgres test:server,redis,postgres,pydantic-ai,opentelemetry dev:server,redis,postgres,pydantic-ai,opentelemetry; do \
	  name=$${set%%:*}; extras=$$(echo ,$${set#*:} | sed 's/,/ --extra /g'); \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $$extras \
	    --output-file requirements/$$name.txt pyproject.toml requirements/$$name.in || exit 1; done

.PHONY: audit
audit: ## known vulnerabilities of all locked packages and vendored libraries; fails without an answer from the network
	@$(PYTHON) requirements/audit.py

.PHONY: package
package: $(VENV)/dev.installed ## build the wheel and the source distribution into dist/, and check what is in them
	@$(BIN)/python .ci/release.py --package

.PHONY: release
release: $(VENV)/dev.installed ## `make package`, then try the wheel in an empty project; publishes nothing
	@$(BIN)/python .ci/release.py

.PHONY: vendor
vendor: node_modules/.installed ## the page's libraries from npm, as requirements/vendor.py names them; needs npm
	@$(PYTHON) requirements/vendor.py

.PHONY: prices
prices: $(VENV)/dev.installed ## the shipped prices of models, from the data of genai-prices; needs the network
	@$(PYTHON) requirements/prices.py
