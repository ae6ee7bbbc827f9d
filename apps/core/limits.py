"""How often somebody may do something in a minute, counted in the cache that all web processes share."""

import time

from django.core.cache import cache


def take_turn(what: str, who: str, most: int) -> int:
    """Count one more of these in this minute: 0 while there are no more than ``most``, else the seconds to wait.

    Two processes that count at the same moment may count one, where the cache is a table: a limit, not a measure.
    """
    now = int(time.time())
    place = f"{what}:{who}:{now // 60}"
    cache.add(place, 0, 120)
    try:
        count = cache.incr(place)
    except ValueError:  # forgotten in between, where the cache is full
        return 0
    return 60 - now % 60 if count > most else 0
