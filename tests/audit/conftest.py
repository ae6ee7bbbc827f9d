"""The filters' words live in the cache for a while: each story starts with an empty one."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _no_earlier_words() -> None:
    cache.clear()
