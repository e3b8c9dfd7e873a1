"""An explorer in JupyterLab with a live kernel: what the reader moves arrives in Python, and back."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

PATIENCE = 60_000  # ms: a kernel that imports PyTorch on a busy machine
CELLS = [
    """
import ipywidgets, matplotlib.pyplot as plt
from attnbook.widgets import Calculator

axes, names = [[1, 0], [0, 1]], ["<img src=x onerror=alert(1)>"]
first = Calculator([[1, 2]], axes, axes, score="cosine", query_names=names)
first
""",
    """
plt.rcParams["svg.fonttype"] = "none"

def draw():
    figure = plt.figure()
    figure.text(0.5, 0.5, f"query {first.query[0][0]:g} gives {first.weights[0, 0]:.4f}")
    return figure

first.follow(draw)
""",
    """
second = Calculator([[0, 1]], axes, axes, score="cosine")
slider = ipywidgets.FloatSlider(value=1, min=0.1, max=10, step=0.1)
in_python = ipywidgets.link((first, "temperature"), (second, "temperature"))
in_browser = ipywidgets.jslink((second, "temperature"), (slider, "value"))
ipywidgets.VBox([second, slider])
""",
    'print("query", first.query, "temperature", first.temperature, "weight", round(first.weights[0, 0].item(), 6))',
    "first.query = [[-4, 3]]\nfirst.temperature = 2.0",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab's address, with one notebook of these cells."""
    root = tmp_path_factory.mktemp("lab")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [new_code_cell(source.strip()) for source in CELLS]
    nbformat.write(new_notebook(metadata={"kernelspec": kernel}, cells=cells), root / "live.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(root / f".{name.lower()}") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    options = [
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={root}",
    ]
    options += ["--IdentityProvider.token=", "--LabApp.news_url=None"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (root / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=os.environ | own | {"JUPYTER_PREFER_ENV_PATH": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api", process, root / "lab.log")
            yield address
        finally:
            process.terminate()
            process.wait(20)


def wait_for(url, process, log):
    for _ in range(240):
        try:
            urllib.request.urlopen(url)
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.25)
        else:
            return
    raise TimeoutError(log.read_text())


class Notebook:
    """The notebook on the screen: run a cell, see its output."""

    def __init__(self, page):
        self.page = page
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")
        expect(self.cells).to_have_count(len(CELLS), timeout=PATIENCE)
        expect(page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_attached(timeout=PATIENCE)

    def run(self, number):
        """Run a cell and wait until it has run."""
        prompt = self.cells.nth(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        # While the page is still being put together, a key can get lost: press it again until the cell has begun.
        for _ in range(10):
            self.cells.nth(number).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            with contextlib.suppress(AssertionError):
                expect(prompt).not_to_have_text(before, timeout=4000)
                break
        expect(prompt).not_to_have_text(before, timeout=PATIENCE)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=PATIENCE)
        return self.cells.nth(number).locator(".jp-OutputArea").first

    def shows_figure(self, text):
        """Wait until the figure that follows says so. JupyterLab shows an SVG as a picture, its text in the address."""
        address = re.compile(re.escape(quote(text)))
        expect(self.cells.nth(1).locator("img")).to_have_attribute("src", address, timeout=PATIENCE)


@pytest.fixture(scope="module")
def notebook(lab, browser):
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    page.goto(f"{lab}/lab/tree/live.ipynb?reset")
    notebook = Notebook(page)
    for number in range(3):
        notebook.run(number)
    yield notebook
    page.close()


def test_a_number_typed_arrives_in_python_and_the_figure_follows(notebook):
    explorer = notebook.cells.nth(0).locator(".attn")
    expect(explorer).to_be_visible(timeout=PATIENCE)
    notebook.shows_figure("query 1 gives")
    explorer.get_by_label(re.compile("component 1$")).first.fill("7")
    # cosine of (7, 2) with the two axes: 7 and 2 over the square root of 53
    notebook.shows_figure("query 7 gives 0.6653")
    expect(notebook.run(3)).to_contain_text("query [[7.0, 2.0]]", timeout=PATIENCE)


def test_python_sets_and_the_explorer_shows(notebook):
    notebook.run(4)
    explorer = notebook.cells.nth(0).locator(".attn")
    expect(explorer.get_by_label(re.compile("component 1$")).first).to_have_value("−4", timeout=PATIENCE)
    # (−4, 3) / 5 over the temperature 2: scores −0.4 and 0.3, so the first weight is 1 / (1 + exp(0.7))
    expect(explorer.locator('table[aria-label="Weights"] td.attn-fill').first).to_have_text("0.3318", timeout=PATIENCE)
    notebook.shows_figure("query -4 gives 0.3318")


def test_explorers_are_linked_with_each_other_and_with_sliders(notebook):
    first, both = notebook.cells.nth(0).locator(".attn"), notebook.cells.nth(2)
    temperature = first.get_by_label("Temperature")
    temperature.evaluate("(input) => { input.value = 0.5; input.dispatchEvent(new Event('input')); }")
    expect(both.locator(".attn-readout")).to_have_text("3.162", timeout=PATIENCE)
    expect(both.locator(".widget-readout")).to_have_text("3.20", timeout=PATIENCE)  # the slider's step is 0.1
    both.locator(".noUi-handle").press("ArrowRight")
    expect(both.locator(".widget-readout")).to_have_text("3.30", timeout=PATIENCE)
    expect(both.locator(".attn-readout")).to_have_text("3.300", timeout=PATIENCE)
    expect(first.locator(".attn-readout")).to_have_text("3.300", timeout=PATIENCE)


def test_letters_and_arrows_stay_in_the_explorer(notebook):
    """In JupyterLab's command mode, D D deletes a cell and an arrow moves to another."""
    explorer = notebook.cells.nth(0).locator(".attn")
    field = explorer.get_by_label(re.compile("component 1$")).first
    field.fill("")
    field.press_sequentially("dd3")
    field.press("Backspace")
    expect(notebook.cells).to_have_count(len(CELLS))
    cell = explorer.locator('table[aria-label="Weights"] td.attn-fill').first
    cell.focus()
    for key in ("ArrowRight", "d", "d", "x", "a"):
        notebook.page.keyboard.press(key)
    expect(explorer.locator('table[aria-label="Weights"] td.attn-fill').nth(1)).to_be_focused()
    expect(notebook.cells).to_have_count(len(CELLS))


def test_a_label_is_text(notebook):
    explorer = notebook.cells.nth(0).locator(".attn")
    expect(explorer.locator("th").first).to_have_text("<img src=x onerror=alert(1)>")
    expect(explorer.locator("img")).to_have_count(0)
