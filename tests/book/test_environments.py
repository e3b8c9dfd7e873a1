"""The program that runs the notebooks elsewhere: its own logic, and one kernel of this environment."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
from environments import (
    ENVIRONMENTS,
    MARKS,
    Environment,
    Result,
    Run,
    canonical,
    changed,
    floors,
    image,
    interpreter,
    kernels,
    last_commit,
    models,
    pins,
    rewrite,
    run,
    sentence,
    table,
    variables,
)
from nbformat import from_dict, write
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_checks import bootstrap, repository
from notebooks import DETERMINISTIC
from packaging.version import Version

VERSIONS = {"python": "3.13.0", "torch": "2.11.0", "numpy": "2.1.3"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def test_every_floor_is_asked_for_once(project):
    """The lowest environment names each direct dependency of a reader, at its floor."""
    found = floors(project)
    assert "torch==2.10" in found and "gguf==0.16" in found and "onnx==1.21" in found
    assert len(found) == len({entry.split("==")[0] for entry in found})
    assert not [entry for entry in found if not re.fullmatch(r"[a-z-]+==[\d.]+", entry)]


def test_no_floor_is_above_what_colab_has(root, project):
    has, _ = image(root)
    entries = [entry.split("==") for entry in floors(project)]
    common = {name: floor for name, floor in entries if name in has}
    assert {"torch", "numpy", "matplotlib", "ipywidgets", "keras", "tensorflow", "jax", "transformers"} <= set(common)
    assert not {name for name, floor in common.items() if Version(floor) > Version(has[name])}


def test_colab_s_list(root):
    has, date = image(root)
    assert date == "2026-08-19" and has["ipython"] == "7.34.0" and has["pip"] == "24.1.2"
    assert has["pyyaml"] == "6.0.3", "names are compared as the indexes do"
    assert canonical("Typing_Extensions.a") == "typing-extensions-a"


def test_the_pinned_environment_has_what_the_outputs_come_from(project):
    assert {"torch==2.13.0", "numpy==2.4.6", "ipykernel==7.4.0"} <= set(pins(project))


def test_readers_get_the_newest_models_and_the_others_the_pinned_ones():
    assert models(["a==1.0", "b==2.0"], "newest") == ["a", "b"]
    assert models(["a==1.0", "b==2.0"], "lowest") == ["a==1.0", "b==2.0"]


def test_what_colab_had_and_has_no_longer():
    before = {"numpy": "2.1.3", "torch": "2.11.0", "six": "1.17.0"}
    after = {"numpy": "2.4.6", "torch": "2.11.0", "attnbook": "1.0.0"}
    assert changed(before, after) == ["numpy 2.1.3 -> 2.4.6", "six 1.17.0 -> None"]


def test_only_pinned_kernels_are_told_more_than_a_reader_s(root, tmp_path, monkeypatch):
    """A reader sets no seed for hashes and no backend for Keras; in Colab, git is sent to the checkout."""
    for name in DETERMINISTIC:
        monkeypatch.delenv(name, raising=False)
    newest, pinned, colab = (
        variables(Environment("", "", name), root, tmp_path) for name in ("newest", "pinned", "colab")
    )
    assert "KERAS_BACKEND" not in newest and "PYTHONHASHSEED" not in colab and pinned.items() >= DETERMINISTIC.items()
    assert newest["OMP_NUM_THREADS"] == colab["OMP_NUM_THREADS"] == "1"
    assert colab["GIT_CONFIG_KEY_0"] == f"url.{root.as_uri()}.insteadOf" and colab["GIT_CONFIG_VALUE_0"] == repository(
        root
    )


def test_a_python_that_is_not_there():
    with pytest.raises(LookupError, match=r"python2\.0: none on the path"):
        interpreter("2.0")


def test_the_table():
    good = Result("colab", VERSIONS, [Run("01-a.ipynb", 2.4), Run("02-b.ipynb", 3.2, differing=[4])])
    bad = Result("lowest", {"python": "3.11.7"}, [Run("01-a.ipynb", 1.0, "cell 2: ValueError: no")])
    assert table([good, bad]).splitlines()[2:] == [
        "| colab | 3.13.0 | 2.11.0 | 2.1.3 | 2 of 2 | 6 |",
        "| lowest | 3.11.7 |  |  | 0 of 1 | 1 |",
    ]
    assert good.ok and not bad.ok
    assert not Result("lowest", {}, [Run("01-a.ipynb", 1.0)], tests="1 failed, 7 passed in 3 s").ok


def test_the_readme_has_one_place_for_the_sentence(root):
    line = sentence(Result("colab", VERSIONS, [Run("01-a.ipynb", 1.0)]), "2026-08-19", "2026-11-27")
    assert "2026-11-27" in line and "2026-08-19 (Python 3.13.0, torch 2.11.0, numpy 2.1.3): 1 of 1 chapters" in line
    text = (root / "README.md").read_text(encoding="utf-8")
    once = rewrite(text, line)
    assert f"{MARKS[0]}\n{line}\n{MARKS[1]}" in once and rewrite(once, line) == once
    assert once.split(MARKS[0])[0] == text.split(MARKS[0])[0] and once.split(MARKS[1])[1] == text.split(MARKS[1])[1]
    with pytest.raises(ValueError, match=r"README\.md: expected"):
        rewrite("no marks", line)


def test_no_kernel_is_left(tmp_path):
    """The process that ran the notebook has ended."""
    place = tmp_path / "pid"
    tried(tmp_path, [new_code_cell(f"import os, pathlib\npathlib.Path({str(place)!r}).write_text(str(os.getpid()))")])
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)


def test_the_last_commit_is_what_is_run(tmp_path):
    """Not what lies in the working tree. pip can clone it, also where it comes from a clone without history."""
    source, shallow, checkout, again = (tmp_path / name for name in ("source", "shallow", "checkout", "again"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "advice.detachedHead=false"]

    def command(*arguments):
        subprocess.run([*git, *map(str, arguments)], check=True, timeout=60)

    command("init", "-q", source)
    for content in ("one", "two"):
        (source / "file").write_text(content)
        command("-C", source, "add", "file")
        command("-C", source, "commit", "-q", "-m", content)
    command("clone", "-q", "--depth", "1", source.as_uri(), shallow)
    (shallow / "file").write_text("three")
    last_commit(shallow, checkout)
    command("clone", "-q", "--filter=blob:none", checkout.as_uri(), again)
    assert (again / "file").read_text() == "two"


def tried(tmp_path, cells, colab=False):
    """Run a notebook of these cells with this environment's own kernel."""
    path = tmp_path / "01-trial.ipynb"
    write(new_notebook(cells=[from_dict(cell) for cell in cells]), path)
    return run(
        path, kernels(sys.executable, tmp_path, colab), variables(ENVIRONMENTS["newest-3.11"], tmp_path, tmp_path)
    )


def test_a_notebook_that_runs(root, tmp_path):
    """Its outputs are held against the stored ones, without addresses; it runs where no file of the repository is."""
    same = new_code_cell("print(1)", outputs=[new_output("stream", name="stdout", text="1\n")])
    address = new_code_cell("object()", execution_count=2)
    address.outputs = [new_output("execute_result", {"text/plain": "<object at 0x…>"}, execution_count=2)]
    other = new_code_cell("import os\nos.listdir()", execution_count=3)
    other.outputs = [new_output("execute_result", {"text/plain": "['README.md']"}, execution_count=3)]
    done = tried(tmp_path, [new_code_cell(bootstrap(repository(root))), same, address, other])
    assert (done.notebook, done.error, done.differing) == ("01-trial.ipynb", "", [3])


def test_a_notebook_that_fails(tmp_path):
    """The cell, and the error in one line: an assertion that does not hold is one."""
    done = tried(tmp_path, [new_code_cell("a = 1"), new_code_cell("assert a == 2, 'a is 1'"), new_code_cell("a")])
    assert done.error == "cell 1: AssertionError: a is 1"
    assert "outputs" in json.loads((tmp_path / "01-trial.ipynb").read_text())["cells"][0], "the file stays as it was"
