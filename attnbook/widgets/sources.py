"""The explorers' JavaScript as one text each: a front end runs a single ES module and resolves no file beside it.

Nothing is imported here but the standard library, so that the book's build can read the texts without PyTorch.
"""

import base64
import re
from pathlib import Path

FOLDER = Path(__file__).parent
# One line each, as in: import { dot, softmax } from "./attention.js";
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)


def module(name: str) -> str:
    """The module of that name, after the modules that it imports, without imports: each once, those it needs first.

    Raises: FileNotFoundError if a module is missing.
    """
    return "\n".join(_texts(name, exported=True, seen=set()))


def _texts(name: str, *, exported: bool, seen: set[str]) -> list[str]:
    if name in seen:
        return []
    seen.add(name)
    text = (FOLDER / name).read_text(encoding="utf-8")
    texts = [part for imported in _IMPORT.findall(text) for part in _texts(imported, exported=False, seen=seen)]
    text = _IMPORT.sub("", text)
    return [*texts, text if exported else re.sub(r"^export ", "", text, flags=re.MULTILINE)]


def style(*names: str) -> str:
    """The style sheets of those names, one after the other; the one that all explorers share comes first."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in ("explorer.css", *names))


def embedded(value: object) -> object:
    """A stored value of a trait; where it is a file of the package, {"file": its path}, its bytes, {"base64": ...}."""
    if not isinstance(value, dict) or set(value) != {"file"}:
        return value
    return {"base64": base64.b64encode((FOLDER.parent / value["file"]).read_bytes()).decode()}


def script(name: str) -> str:
    """The explorer of that name as a classic script, which adds itself to `attnbookExplorers`.

    Raises: ValueError if its module has no default export.
    """
    text, count = re.subn(r"^export default ", "return ", module(f"{name}.js"), flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{name}.js must have one default export, on a line of its own; got {count}")
    return f"(globalThis.attnbookExplorers ??= {{}}).{name} = (() => {{\n{text}}})();\n"
