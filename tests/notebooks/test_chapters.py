"""The committed chapters: each is sound by itself, and together they settle what the ledger assigns to them."""

import json
from collections import Counter

import pytest
from notebook_checks import claims, figure_names, problems, settled
from notebooks import chapters


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def number(path):
    return int(path.name[:2])


def test_there_are_chapters():
    assert chapters()
    assert len({number(path) for path in chapters()}) == len(chapters())


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_is_sound(path):
    assert problems(path) == []


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_s_number_stands_in_its_title_and_its_labels(path):
    assert "".join(cells(path)[0]["source"]).startswith(f"# {number(path)}. ")
    assert all(name.startswith(f"fig-{number(path):02d}-") for name in figure_names(cells(path)))


def test_figure_names_are_unique_in_the_book():
    counts = Counter(name for path in chapters() for name in figure_names(cells(path)))
    assert not [name for name, count in counts.items() if count > 1]


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_settles_the_claims_assigned_to_it(path):
    assigned = [claim["id"] for claim in claims().values() if claim["chapter"] == number(path)]
    assert sorted(settled(cells(path))) == sorted(assigned)
