"""What an exception can cover: names beyond the allow-list, of libraries that are installed and never of the worst.

An exception is granted by people for one file and for exactly the names that they were shown. It says "these too",
not "anything": a name through which a file could bring code of its own, or reach for the rest of the machine, is
never on offer, since a list that holds such a name tells nothing about what would run.
"""

from collections.abc import Iterable
from typing import Any

from worker.inspection import allowlist, pickles
from worker.inspection.allowlist import CALL, NEVER, NEW, VALUE, Allowed
from worker.inspection.pickle_values import Broken, Forbidden

MOST = 50  # nobody reads a longer list

# The examination and what is built from it have these, at exact versions; names of others could not be imported.
_LIBRARIES = (
    *("sklearn.", "xgboost.", "lightgbm.", "numpy:", "numpy.random.", "numpy.ma."),
    *("scipy.special.", "scipy.sparse.", "scipy.interpolate.", "scipy.spatial."),
)
# Write files, load them, start processes or talk to other machines.
_NEVER_EITHER = (
    *("numpy:save", "numpy:DataSource", "numpy:from_dlpack", "scipy.sparse._matrix_io", "sklearn.utils.parallel"),
    *("xgboost.testing", "xgboost.dask", "xgboost.spark", "xgboost.tracker", "xgboost.collective", "lightgbm.dask"),
)
_STANDARD = frozenset(
    ["functools:partial", "builtins:range", "builtins:tuple", "datetime:datetime", "datetime:date", "decimal:Decimal"]
)
_ALL_ROLES = frozenset({NEW, CALL, VALUE})


def names_beyond(data: Any) -> tuple[str, ...]:
    """Every name, sorted, that this pickle needs beyond the list; none where no exception can cover it.

    The file is walked once more as if all names were allowed: everything else that the inert machine refuses, it
    refuses here too.
    """
    try:
        used = pickles.walk(data, None).names
    except (Broken, Forbidden):
        return ()
    allowed = allowlist.load()
    beyond = sorted(
        name for name, roles in used.items() if not roles <= allowed.get(name, frozenset()) or name not in allowed
    )
    return tuple(beyond) if len(beyond) <= MOST and all(map(can_cover, beyond)) else ()


def can_cover(name: str) -> bool:
    """Whether people may grant this name at all."""
    if name in _STANDARD:
        return True
    return (
        name.startswith(_LIBRARIES) and not name.startswith(NEVER + _NEVER_EITHER) and "." not in name.partition(":")[2]
    )


def widen(excepted: Iterable[str]) -> Allowed:
    """The allow-list with the names of a granted exception; one that can never be granted stays out."""
    return {**allowlist.load(), **{name: _ALL_ROLES for name in excepted if can_cover(name)}}
