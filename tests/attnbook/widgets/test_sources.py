"""The joined texts run: each module parses on its own and as the classic script that pages load."""

import re
import subprocess
import tomllib

import pytest

from attnbook.widgets import sources
from tests.attnbook.widgets.javascript import NODE, evaluate

MODULES = sorted(path.name for path in sources.FOLDER.glob("*.js"))
EXPLORERS = [name for name in MODULES if "\nexport default " in (sources.FOLDER / name).read_text()]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_runs_without_the_files_beside_it(name):
    assert evaluate(name, "true")
    assert not re.search(r"^import \{", sources.module(name), re.MULTILINE)


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_script_adds_its_explorer(name):
    stem = name.removesuffix(".js")
    text = sources.script(stem) + f"process.stdout.write(typeof globalThis.attnbookExplorers.{stem}.render)"
    done = subprocess.run([NODE, "--eval", text], capture_output=True, text=True)
    assert done.stdout == "function", done.stderr


def test_a_module_comes_once_and_before_those_that_need_it():
    text = sources.module("calculator.js")
    assert text.count("function softmax(") == 1
    assert text.index("function softmax(") < text.index("function compute(")


def test_the_package_brings_all_files():
    settings = tomllib.loads((sources.FOLDER.parents[1] / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["attnbook"]
    files = {path for path in sources.FOLDER.iterdir() if path.suffix not in (".py", "") and path.is_file()}
    assert files and files <= {path for pattern in patterns for path in sources.FOLDER.parent.glob(pattern)}


def test_a_script_needs_an_explorer():
    with pytest.raises(ValueError, match=r"attention\.js must have one default export"):
        sources.script("attention")


def test_no_module_makes_html_of_text():
    """Labels are text: nothing that reads HTML, and nothing that runs text, stands in an explorer."""
    for name in MODULES:
        text = (sources.FOLDER / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|AdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)
