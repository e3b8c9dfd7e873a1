"""A shuffle that is the same under every version of Python and NumPy."""

import hashlib
from collections.abc import Iterable


def hash_order(items: Iterable[str], *, seed: int = 0) -> list[str]:
    """The items sorted by the SHA-256 of "seed:item".

    An item's place depends on the item and the seed alone. Where one is added or taken away, as between two releases
    of a dictionary, the others keep their order, so that a split made by slicing hardly changes.
    """
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}:{item}".encode()).digest())
