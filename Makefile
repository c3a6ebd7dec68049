# One stage = one target = one `python -m pipeline <stage>`. Variables are passed on as environment
# variables of the same name; README.md and `python -m pipeline <stage> --help` say what they mean.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Each stage does the earlier ones by itself: two of them at once would do the same work twice.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# make would expand "$" in a value of its command line, and run "$(shell ...)". They stay as typed.
# Values from the environment do so by themselves; $(value NAME) reads both without expanding them.
override GIVEN := $(foreach .name,$(.VARIABLES),$(if $(filter command,$(origin $(.name))),$(.name)))
# make's own; the last one comes with make 4
override GIVEN := $(filter-out SHELL .SHELLFLAGS MAKE% MFLAGS CURDIR VPATH GPATH GNUMAKEFLAGS,$(GIVEN))
$(foreach .name,$(GIVEN),$(eval override $$(.name) := $$(value $$(.name)))$(eval export $$(.name)))

# The variables of each target. One that is not listed here takes all of them, as `help` does.
TRACKERS := TENSORBOARD MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME
RECIPE_STAGE := SOURCE RECIPE SEED SET PRACTICE_SEED RUN FORCE EXECUTOR RAY_ADDRESS KAGGLE_IMAGE $(TRACKERS)
TAKES_setup := EXECUTOR TENSORBOARD MLFLOW_TRACKING_URI
TAKES_data := $(RECIPE_STAGE)
TAKES_split := $(RECIPE_STAGE)
TAKES_train := $(RECIPE_STAGE)
TAKES_ensemble := $(RECIPE_STAGE)
TAKES_submission := $(RECIPE_STAGE)
TAKES_submit := $(RECIPE_STAGE) MESSAGE
TAKES_sweep := SOURCE RECIPE SEED SET PRACTICE_SEED EXECUTOR RAY_ADDRESS SWEEP SEEDS $(TRACKERS)
TAKES_search := SOURCE RECIPE SEED SET PRACTICE_SEED EXECUTOR MINUTES VARY SEEDS $(TRACKERS)
TAKES_audit := RUN SOURCE PRACTICE_SEED COUNT
TAKES_look := RUN SOURCE PRACTICE_SEED SEED VIEW PART START COUNT TRUE PREDICTED
TAKES_stop := RUN FORCE
TAKES_notebook := RUN
TAKES_export := RUN MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME
TAKES_remove := RUN ALSO FORCE
TAKES_reveal := RUN
TAKES_leaderboard := RUN
TAKES_baselines := SEEDS FORCE
TAKES_bench := BENCH
TAKES_torture := SEED TORTURE
TAKES_audit-packages :=
TAKES_compare := WHERE SORT RUN ALL
TAKES_report :=
TAKES_runs :=
TAKES_doctor :=
TAKES_lint :=
TAKES_test :=
TAKES_test-slow :=
TAKES_lock :=
TAKES_clean :=

# A target or a variable that is unknown, a variable that is empty or not of these targets, and a value that
# is not one of its words end make before anything is done. Once .venv is there, the program checks values.
override LISTED := $(patsubst TAKES_%,%,$(filter TAKES_%,$(.VARIABLES)))
override KNOWN := $(sort PYTHON $(foreach target,$(LISTED),$(TAKES_$(target))))
override GOALS := $(if $(MAKECMDGOALS),$(MAKECMDGOALS),help)
override WRONG_GOAL := $(firstword $(filter-out help $(LISTED) .venv/%,$(MAKECMDGOALS)))
override TAKEN := PYTHON $(foreach goal,$(GOALS),$(if $(filter $(goal),$(LISTED)),$(TAKES_$(goal)),$(KNOWN)))
override UNKNOWN := $(firstword $(filter-out $(KNOWN),$(GIVEN)))
override EMPTY := $(firstword $(foreach .name,$(filter-out FORCE ALL KAGGLE_IMAGE TENSORBOARD,$(GIVEN)),$(if $(strip $(value $(.name))),,$(.name))))
override UNUSED := $(firstword $(filter-out $(TAKEN),$(GIVEN)))
override quoted = '$(subst ','\'',$(1))'

# TensorFlow 2.21 has wheels for these versions of Python; the first one found is used.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
FIND_PYTHON := for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done

override SPELLING := $$($(FIND_PYTHON)) -I pipeline/recipe/spelling.py
override WITH_WORDS := $(foreach .name,$(filter RECIPE EXECUTOR VIEW PART SORT,$(GIVEN)),$(call quoted,$(.name)=$(value $(.name))))
override WRONG_VALUE := $(if $(WITH_WORDS),$(if $(wildcard .venv/.installed-*),,$(shell $(SPELLING) values $(WITH_WORDS) 2>/dev/null)))

override HELP_AMONG := $(and $(filter help,$(GOALS)),$(filter-out help,$(GOALS)))

override HINT :=
ifdef WRONG_GOAL
override REFUSAL := no target $(if $(findstring @,$(WRONG_GOAL)),is an address,$(WRONG_GOAL)); make help lists them
override HINT := $(if $(findstring @,$(WRONG_GOAL)),false,$(SPELLING) target) $(call quoted,$(WRONG_GOAL)) help $(sort $(LISTED))
else ifneq ($(HELP_AMONG),)
override REFUSAL := help is a target of its own: make help; .venv/bin/python -m pipeline <stage> --help explains one stage
else ifdef UNKNOWN
override REFUSAL := no target takes the variable $(UNKNOWN); the variables are $(KNOWN)
override HINT := $(SPELLING) variable $(call quoted,$(UNKNOWN)) $(KNOWN)
else ifdef EMPTY
override REFUSAL := $(EMPTY) is empty; give it a value, or leave it out
else ifdef UNUSED
override REFUSAL := make $(GOALS) takes no $(UNUSED); leave it out, or use it with make \
  $(strip $(foreach target,$(sort $(LISTED)),$(if $(filter $(UNUSED),$(TAKES_$(target))),$(target))))
else ifdef WRONG_VALUE
override REFUSAL := $(WRONG_VALUE)
endif
ifdef REFUSAL
$(shell { $(if $(HINT),$(HINT) 2>/dev/null ||) printf 'error: %s\n' $(call quoted,$(REFUSAL)); } \
  | LC_ALL=C tr -d '\000-\011\013-\037\177' >&2)
$(error nothing was done)
endif

VENV := .venv
RUN_PYTHON := $(VENV)/bin/python
PIPELINE := $(RUN_PYTHON) -m pipeline

# The CUDA libraries are installed where an NVIDIA driver answers.
LOCK := $(if $(shell nvidia-smi -L 2>/dev/null),requirements-gpu.lock,requirements.lock)
BASE := $(VENV)/.installed-$(LOCK)
# Ray is an extra: installed where members are trained with it, and for the tests.
RAY := $(VENV)/.installed-requirements-ray.lock
# Optuna searches, cleanlab looks for wrong labels, TensorBoard's package writes event files.
TOOLS := $(VENV)/.installed-requirements-tools.lock
MLFLOW := $(VENV)/.installed-requirements-mlflow.lock
# What only tests use, as Playwright, which drives a browser; with all extras but Ray.
TEST_TOOLS := $(VENV)/.installed-requirements-test.lock
# Each extra is installed where its variable is set, here or in the environment.
READY := $(BASE) $(if $(filter ray,$(value EXECUTOR)),$(RAY)) \
  $(if $(strip $(value MLFLOW_TRACKING_URI)),$(MLFLOW)) $(if $(filter 1,$(value TENSORBOARD)),$(TOOLS))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo
	@echo '  Variables: RECIPE=<name or path.toml>  SET="key=value ..."  SEED=<n>  FORCE=1'
	@echo '             SOURCE=auto|kaggle|practice|mnist|<folder>  PRACTICE_SEED=<n>'
	@echo '             RUN="<id> ..."  MESSAGE="..."  KAGGLE_IMAGE=1  TENSORBOARD=1'
	@echo '             EXECUTOR=auto|serial|processes|ray|kaggle  RAY_ADDRESS=<host:port>'
	@echo '             MLFLOW_TRACKING_URI=<server or file>  MLFLOW_EXPERIMENT_NAME=<name>'
	@echo '  compare:   WHERE="recipe=fast status=done ..."  SORT=<column>  ALL=1'
	@echo '  sweep:     SWEEP="key=value,value key=value,value ..."  SEEDS=<n>'
	@echo '  search:    VARY="key key=low..high key=value,value"  MINUTES=<n>  SEEDS=<n>'
	@echo '  look:      VIEW=<name>  PART=validation|test  START=<n>  COUNT=<n>'
	@echo '             TRUE=<digit>  PREDICTED=<digit>'
	@echo '  audit:     COUNT=<n>'
	@echo '  remove:    ALSO="averaged submitted kernel"'
	@echo '  baselines: SEEDS=<n>'
	@echo '  bench:     BENCH="<name> ..."'
	@echo '  torture:   SEED=<n>  TORTURE="--csvs <n> --kills <n> ..."'
	@echo
	@echo '  README.md explains them, and .venv/bin/python -m pipeline <stage> --help.'

.PHONY: setup
setup: $(READY) ## make .venv and install the locked packages (by itself)

$(BASE): $(LOCK)
	@python="$${PYTHON:-$$($(FIND_PYTHON))}"; \
	case "$$python" in '~/'*) python="$$HOME$${python#?}";; esac; \
	test -n "$$python" && "$$python" -c '$(FITS)' || { printf 'error: PYTHON is "%s"; %s\n' "$$python" \
	  'Python 3.11, 3.12 or 3.13 is needed: install one, or name it: make setup PYTHON=<path>' >&2; exit 1; }; \
	echo 'setting up $(VENV) from $(LOCK): some minutes, once'; \
	rm -f $(VENV)/.installed-* && "$$python" -m venv $(VENV)
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@touch $@

$(RAY): requirements-ray.lock $(BASE)
	@echo 'adding Ray to $(VENV) from $<'
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(TOOLS): requirements-tools.lock $(BASE)
	@echo 'adding Optuna, cleanlab and TensorBoard to $(VENV) from $<'
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(MLFLOW): requirements-mlflow.lock $(BASE)
	@echo 'adding MLflow to $(VENV) from $<'
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(TEST_TOOLS): requirements-test.lock $(BASE)
	@echo 'adding the tools of tests to $(VENV) from $<'
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: data
data: $(READY) ## fetch the competition's files and check every cell
	@$(PIPELINE) data

.PHONY: split
split: $(READY) ## hold out validation rows, list exact duplicates
	@$(PIPELINE) split

.PHONY: train
train: $(READY) ## train the recipe's network
	@$(PIPELINE) train

.PHONY: ensemble
ensemble: $(READY) ## average the checkpoints of a run, or of several runs
	@$(PIPELINE) ensemble

.PHONY: submission
submission: $(READY) ## write submissions/<run>.csv and the confusion heatmap
	@$(PIPELINE) submission

.PHONY: submit
submit: $(READY) ## all of the above, then upload and print the score
	@$(PIPELINE) submit

.PHONY: sweep
sweep: $(READY) ## train all combinations of some settings, and compare them
	@$(PIPELINE) sweep

.PHONY: search
search: $(TOOLS) $(READY) ## look for better settings, and measure what was found
	@$(PIPELINE) search

.PHONY: stop
stop: $(READY) ## end the kernel at Kaggle that trains a run (RUN=<id>)
	@$(PIPELINE) stop

.PHONY: notebook
notebook: $(READY) ## write a run as a notebook for Kaggle (RUN=<id>)
	@$(PIPELINE) notebook

.PHONY: export
export: $(READY) ## log finished runs to MLflow (MLFLOW_TRACKING_URI=<server>)
	@$(PIPELINE) export mlflow

.PHONY: reveal
reveal: $(READY) ## practice: the private score of a submission (RUN=<id>)
	@$(PIPELINE) reveal

.PHONY: leaderboard
leaderboard: $(READY) ## Kaggle's public leaderboard, and the places of own scores
	@$(PIPELINE) leaderboard

.PHONY: compare
compare: $(READY) ## which recipe is better, and how sure that is
	@$(PIPELINE) compare

.PHONY: report
report: $(READY) ## the same and every picture on one page, runs/report.html
	@$(PIPELINE) report

.PHONY: look
look: $(READY) ## draw a run: digits, mistakes, curves and more (RUN=<id>)
	@$(PIPELINE) look

.PHONY: audit
audit: $(TOOLS) ## rank labels that look wrong, list near duplicates
	@$(PIPELINE) audit

.PHONY: baselines
baselines: $(READY) ## train the systems of the MNIST tutorials
	@$(PIPELINE) baselines

.PHONY: runs
runs: $(READY) ## all runs with their states
	@$(PIPELINE) runs

.PHONY: remove
remove: $(READY) ## delete runs and their submissions (RUN="<id> ...")
	@$(PIPELINE) remove

.PHONY: doctor
doctor: $(READY) ## what is there, what is missing, and how to get it
	@$(PIPELINE) doctor

.PHONY: bench
bench: $(RAY) ## measure speed and costs against plain Keras
	@set -f; $(RUN_PYTHON) -m tests.bench $$BENCH  # -f: no file names for *

.PHONY: lint
lint: $(READY) ## ruff, mypy, and the direction of imports between folders
	@$(RUN_PYTHON) -m ruff check .
	@$(RUN_PYTHON) -m ruff format --check .
	@$(RUN_PYTHON) -m mypy
	@$(VENV)/bin/lint-imports

.PHONY: test
test: $(RAY) $(TEST_TOOLS) ## the tests: real digits, the real kaggle command
	@$(RUN_PYTHON) -m pytest -n 2 --dist loadfile

.PHONY: test-slow
test-slow: $(RAY) $(TEST_TOOLS) ## the tests that take a minute each: runs killed, baselines
	@$(RUN_PYTHON) -m pytest -m slow

.PHONY: torture
torture: $(RAY) ## thousands of hostile inputs, and kills
	@$(RUN_PYTHON) -m tests.torture

AUDIT := $(VENV)/.installed-requirements-audit.lock

$(AUDIT): requirements-audit.lock $(BASE)
	@echo 'adding pip-audit to $(VENV) from $<'
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: audit-packages
audit-packages: $(AUDIT) ## known vulnerabilities of the locked packages (pip-audit)
	@$(RUN_PYTHON) -m tests.packages.audit

.PHONY: lock
lock: $(AUDIT) ## renew the locks (needs uv), and docs/licences.md
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra gpu -c requirements.lock pyproject.toml -o requirements-gpu.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra ray -c requirements.lock pyproject.toml -o requirements-ray.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra audit -c requirements.lock pyproject.toml -o requirements-audit.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra mlflow -c requirements-ray.lock pyproject.toml -o requirements-mlflow.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra search --extra labels --extra tensorboard -c requirements-mlflow.lock pyproject.toml -o requirements-tools.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra test --extra mlflow --extra search --extra labels --extra tensorboard -c requirements-tools.lock -c requirements-mlflow.lock pyproject.toml -o requirements-test.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra gpu --extra kernel -c requirements.lock pyproject.toml -o requirements-kaggle.lock
	@$(RUN_PYTHON) -m tests.packages.licences

.PHONY: clean
clean: ## delete .venv and caches; data, runs and submissions stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +
