"""The built book, and the scripts in site/scripts."""

import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "site" / "scripts"))


@pytest.fixture(scope="session")
def root():
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def html():
    """The folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").exists():
        pytest.fail("the book is not built: run `make book` first")
    return folder


@pytest.fixture(scope="session")
def pages(html):
    """Every built page, parsed, by its path under _build/html."""
    return {
        path.relative_to(html).as_posix(): BeautifulSoup(path.read_text(encoding="utf-8"), "lxml")
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.relative_to(html).parts
    }
