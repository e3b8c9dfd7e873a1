import pytest

from attnbook.exercises import record


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """No test touches the reader's file."""
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "progress.json"))
