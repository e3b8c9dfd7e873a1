"""environment.yml (Binder, conda) and pyproject.toml (pip) ask for the same, and for no more than Colab has."""

import re
import tomllib

import pytest
import yaml

CONDA_NAMES = {"pytorch": "torch"}
ONLY_CONDA = {"jupyterlab", "pip"}


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
    assert all(re.fullmatch(r"[a-z]+>=[\d.]+", entry) for entry in project["dependencies"])


def test_tools_are_pinned(project):
    pins = [entry for extra in project["optional-dependencies"].values() for entry in extra]
    assert pins
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", entry) for entry in pins)


def test_jupyter_book_is_the_one_that_reads_config_yml(project):
    assert any(entry.startswith("jupyter-book==1.") for entry in project["optional-dependencies"]["book"])
