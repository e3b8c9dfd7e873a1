"""environment.yml (Binder, conda) and pyproject.toml (pip) ask for the same, and for no more than Colab has."""

import re
import tomllib

import pytest
import yaml

CONDA_NAMES = {"pytorch": "torch"}
ONLY_CONDA = {"jupyterlab", "pip"}
READERS = {"models", "libraries"}  # extras for readers, in Colab too: floors


@pytest.fixture
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture
def conda(root):
    return yaml.safe_load((root / "environment.yml").read_text())["dependencies"]


def test_same_names_and_floors(project, conda):
    plain = {entry for entry in conda if isinstance(entry, str)} - ONLY_CONDA
    translated = {
        re.sub(r"^[a-z]+", lambda match: CONDA_NAMES.get(match.group(), match.group()), entry) for entry in plain
    }
    assert translated == {*project["dependencies"], f"python{project['requires-python']}"}


def test_the_package_itself_is_installed_from_the_checkout(conda):
    assert {"pip": ["-e ."]} in conda


def test_floors_only(project):
    """An upper bound, or an exact pin, would make Colab replace what it has."""
    assert all(re.fullmatch(r"[a-z-]+>=[\d.]+", entry) for entry in project["dependencies"])


def test_tools_are_pinned(project):
    extras = project["optional-dependencies"]
    bounds = extras.pop("colab")
    assert set(extras) == READERS | {"book", "test", "bench"}
    for name, entries in extras.items():
        relation = ">=" if name in READERS else "=="
        assert entries and all(re.fullmatch(rf"[a-z0-9-]+{relation}[\w.]+", entry) for entry in entries)
    read = {entry.split(">=")[0] for name in READERS for entry in extras[name]}
    assert {entry.split("<")[0] for entry in bounds} <= read, "a bound for Colab is of what a reader installs"


def test_readers_extras_are_tested(project):
    """What a reader may install for some chapters is installed, pinned, where the tests run."""
    extras = project["optional-dependencies"]
    pinned = {entry.split("==")[0] for entry in extras["test"]}
    assert {entry.split(">=")[0] for name in READERS for entry in extras[name]} <= pinned


def test_jupyter_book_is_the_one_that_reads_config_yml(project):
    assert any(entry.startswith("jupyter-book==1.") for entry in project["optional-dependencies"]["book"])
