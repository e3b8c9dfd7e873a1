"""Labels are text: names that are HTML show as themselves, in every explorer that takes names."""

import importlib.util
from pathlib import Path

import pytest

from attnbook.widgets import Alignments, Calculator, Heads, Plane

HOSTILE = "<img src=x onerror=alert(1)>"
SCRIPT = Path(__file__).resolve().parents[2] / "site" / "scripts" / "preview.py"
ITEM = {
    "title": HOSTILE,
    "read": [HOSTILE, "b"],
    "expected": [HOSTILE],
    "answers": [{"form": HOSTILE, "written": [HOSTILE], "right": True, "weights": [[500, 500]]}],
}
EXPLORERS = {
    "calculator": lambda: Calculator([[1]], [[1]], [[1]], query_names=[HOSTILE], key_names=[HOSTILE]),
    "plane": lambda: Plane([1, 1], [[1, 0]], [[0, 1]], key_names=[HOSTILE]),
    "heads": lambda: Heads([[[[0.5, 0.5], [1, 0]]]], [HOSTILE, "b"]),
    "alignments": lambda: Alignments(items=[ITEM]),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_name_that_is_html_shows_as_itself(name, browser, tmp_path):
    spec = importlib.util.spec_from_file_location("preview", SCRIPT)
    preview = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(preview)
    path = tmp_path / "page.html"
    path.write_text(preview.page([EXPLORERS[name]()]), encoding="utf-8")
    page = browser.new_page()
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    page.locator(".attn").wait_for()
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator(".attn").evaluate("box => box.textContent")
    assert not dialogs
    page.close()
