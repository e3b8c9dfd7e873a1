"""Run the chapters and store their outputs, or check what is stored.

    python site/scripts/notebooks.py execute [NOTEBOOK ...]     all chapters when none is named
    python site/scripts/notebooks.py check [NOTEBOOK ...]

Executing twice gives the same bytes: the kernel is fresh and single-threaded, and `normalise` removes what a run leaves
behind that is no result (timings, random ids, addresses).
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from notebook_checks import problems
from notebook_normal import normalise, with_cell_ids

ROOT = Path(__file__).resolve().parents[2]
DETERMINISTIC = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
    "KERAS_BACKEND": "torch",
}


def chapters():
    """The book's notebooks, in the order of their numbers."""
    return sorted((ROOT / "chapters").glob("*.ipynb"))


def execute(path, timeout=600):
    """Run one notebook in a fresh kernel, in its own folder, and write it back normalised.

    Raises nbclient.exceptions.CellExecutionError, and leaves the file as it was, when a cell fails that is not tagged
    `raises-exception`.
    """
    path = Path(path)
    notebook = with_cell_ids(path.read_text(encoding="utf-8"))
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )
    client.execute(env=os.environ | DETERMINISTIC)
    text = nbformat.writes(normalise(notebook))
    path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["execute", "check"])
    parser.add_argument("notebooks", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    failed = False
    for path in options.notebooks or chapters():
        if options.action == "execute":
            start = time.perf_counter()
            execute(path)
            print(f"{path.name}: {time.perf_counter() - start:.1f} s")
        for problem in problems(path):
            print(f"{path.name}: {problem}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
