"""The repository's address is set in _config.yml; every other place follows it."""

import json
import re
import shutil

import pytest
import yaml
from notebook_checks import bootstrap, repository
from repository import FILES, change, pages

ADDRESS = re.compile(r"https://github\.com/[\w-]+/attnbook(?![\w-])")
COLAB = "https://colab.research.google.com/github/"


PUBLISHED = re.compile(r"https://[\w-]+\.github\.io/[\w.-]+/")


def named_files(root):
    return [path for pattern in FILES for path in root.glob(pattern)]


def chapters(root):
    return sorted((root / "chapters").glob("*.ipynb"))


def test_every_text_names_the_configured_repository(root):
    named = {match.group() for path in named_files(root) for match in ADDRESS.finditer(path.read_text("utf-8"))}
    assert named == {repository()}
    published = {found for path in named_files(root) for found in PUBLISHED.findall(path.read_text("utf-8"))}
    assert published == {pages(repository()) + "/"}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/attnbook/attnbook", "https://attnbook.github.io/attnbook"),
        ("https://github.com/Some-One/My.Book", "https://some-one.github.io/My.Book"),
        ("https://github.com/Some-One/some-one.github.io", "https://some-one.github.io"),
    ],
)
def test_the_pages_address_follows_from_the_repository_s(url, address):
    assert pages(url) == address


def test_launch_links_open_the_chapter_s_notebook(root, pages):
    branch = yaml.safe_load((root / "_config.yml").read_text())["repository"]["branch"]
    owner_and_name = repository().removeprefix("https://github.com/")
    for path in chapters(root):
        page = pages[f"chapters/{path.stem}.html"]
        links = [tag["href"] for tag in page.find_all("a", href=True) if tag["href"].startswith(COLAB)]
        assert f"{COLAB}{owner_and_name}/blob/{branch}/chapters/{path.name}" in links


def test_pages_link_to_the_configured_repository(pages):
    for name in ("intro.html", "appendix/ledger.html"):
        assert repository() in [tag["href"] for tag in pages[name].find_all("a", href=True)]


@pytest.fixture
def copy(root, tmp_path):
    """A copy of the files that name the address, with one chapter more."""
    shutil.copy(root / "_config.yml", tmp_path)
    (tmp_path / "chapters").mkdir()
    cell = {"cell_type": "code", "source": bootstrap(repository()).splitlines(keepends=True)}
    text = {
        "cell_type": "markdown",
        "source": [f"[Colab]({COLAB}{repository()[19:]}/blob/main/a.ipynb), {repository()}-else"],
    }
    (tmp_path / "chapters" / "01-a.ipynb").write_text(json.dumps({"cells": [cell, text]}))
    return tmp_path


def test_changing_the_address_changes_config_and_chapters(copy):
    url = "https://github.com/someone/some.book"
    assert len(change(url, copy)) == 2
    assert repository(copy) == url
    baseurl = yaml.safe_load((copy / "_config.yml").read_text())["html"]["baseurl"]
    assert baseurl == "https://someone.github.io/some.book/"
    cell, text = json.loads((copy / "chapters" / "01-a.ipynb").read_text())["cells"]
    assert "".join(cell["source"]) == bootstrap(url)
    assert "".join(text["source"]).startswith(f"[Colab]({COLAB}someone/some.book/blob/")
    assert "".join(text["source"]).endswith("attnbook-else"), "another repository whose name begins alike was changed"


def test_changing_the_address_and_back_leaves_no_trace(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*.*")}
    old = repository(copy)
    change("https://github.com/someone/some.book", copy)
    change(old, copy)
    assert {path: path.read_bytes() for path in copy.rglob("*.*")} == before


@pytest.mark.parametrize(
    "url", ["", "github.com/a/b", "https://github.com/a", "https://github.com/a/b.git", "https://x.org/a/b"]
)
def test_what_is_no_address_is_refused(copy, url):
    with pytest.raises(ValueError, match=r"expected https://github\.com/OWNER/NAME"):
        change(url, copy)
