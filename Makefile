# Every target sets up .venv first; that takes under a second once it is done.
# Choose a Python with PYTHON=/path/to/python3.12; pass options on with ARGS="...".

.DEFAULT_GOAL := help
.PHONY: help ready lab test run lint format scrub checkpoint lock clean

VENV_PYTHON := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python.exe,.venv/bin/python)
NAME ?= cnn

# Any Python that runs will do to start: tools/bootstrap.py finds the right one, or says what to do.
define bootstrap
@for p in "$(VENV_PYTHON)" "$(PYTHON)" python3.13 python3.12 python3.11 python3 python; do \
	if [ -n "$$p" ] && "$$p" -c "" >/dev/null 2>&1; then \
		exec "$$p" tools/bootstrap.py $(if $(PYTHON),--python "$(PYTHON)") $(1); \
	fi; \
done; \
echo "No Python runs here: install Python 3.13 from https://www.python.org/downloads/, then run this again." >&2; \
exit 1
endef

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

lab:  ## Open the course in JupyterLab
	$(call bootstrap,lab $(ARGS))

test: ready  ## Check everything that must hold: lint, unit tests, notebooks, browser
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(VENV_PYTHON) -m pytest $(ARGS) || status=1; \
	exit $$status

run: ready  ## Execute every notebook and write browsable pages to build/html
	@$(VENV_PYTHON) tools/run_notebooks.py $(ARGS)

lint: ready  ## Check the style of code and notebooks
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) tools/scrub.py --check

format: ready  ## Correct the style of code and notebooks where that can be done
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

scrub: ready  ## Normalise the notebooks for a commit
	@$(VENV_PYTHON) tools/scrub.py

checkpoint: ready  ## Train a shipped model from scratch, for example NAME=cnn (an hour or two; resumes)
	@$(VENV_PYTHON) tools/make_checkpoint.py $(NAME)

lock:  ## Renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --fork-strategy fewest --generate-hashes --extra test pyproject.toml -o requirements.lock $(ARGS)

clean:  ## Delete .venv and what runs have left (downloads and checkpoints in .cache stay)
	rm -rf .venv build .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name .ipynb_checkpoints -prune -exec rm -rf {} +

ready:
	$(call bootstrap)
