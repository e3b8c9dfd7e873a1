"""What was passed, and how many hints were read: a small file that belongs to the reader. Nothing is sent anywhere."""

import json
import os
import sys
from pathlib import Path

VARIABLE = "ATTNBOOK_PROGRESS"  # another place for the file
_read_hints: dict[str, int] = {}


def file() -> Path:
    return Path(os.environ.get(VARIABLE) or Path.home() / "attnbook-progress.json")


def passed() -> dict[str, bool]:
    """The names of the exercises that were passed. Raises: ValueError for a damaged file."""
    path = file()
    if not path.exists():
        return {}
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["passed"]
        return {str(name): True for name in names}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no record of progress: move or delete it, and a new one begins") from None


def record(name: str) -> None:
    names = list(passed())
    if name not in names:
        path = file()
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"passed": [*names, name]}, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)  # never half a file


def next_hint(name: str, hints: tuple[str, ...]) -> str | None:
    """The hints one after the other, and the last one again; kept for this session."""
    if not hints:
        return None
    k = _read_hints.get(name, 0)
    _read_hints[name] = k + 1
    return hints[min(k, len(hints) - 1)]


def place() -> str:
    """Where the file is, and what becomes of it."""
    where = f"Kept in {file()}"
    if "google.colab" in sys.modules:
        return f"{where}, which Colab deletes with the session: set {VARIABLE} to a place on your Drive to keep it."
    return f"{where}."
