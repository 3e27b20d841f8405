"""A memory of the last few results."""

from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 64  # results; about half a megabyte each


def remember(cache: OrderedDict, key, compute: Callable):
    """Return what is in the cache under `key`, computing it where it is not."""
    if key not in cache:
        cache[key] = compute()
        if len(cache) > REMEMBERED:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
