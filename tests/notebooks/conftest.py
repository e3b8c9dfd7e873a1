"""The scripts in site/scripts, which are no package, and what a chapter's page says."""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "site" / "scripts"))


class Page(NamedTuple):
    """What a chapter's cells printed, and its prose, captions included, each run of spaces as one."""

    printed: str
    prose: str


@pytest.fixture(scope="module")
def page(request):
    """The stored page of the chapter that a module `test_chapter_NN_...` is about."""
    number = re.search(r"test_chapter_(\d\d)", request.module.__name__).group(1)
    [notebook] = (ROOT / "chapters").glob(f"{number}-*.ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    printed = ["".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", [])]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    prose += [cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "") for cell in cells]
    return Page("\n".join(printed), re.sub(r"\s+", " ", " ".join(prose)))
