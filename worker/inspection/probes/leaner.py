"""Leaves out what libraries import and a probe does not need: the imports are most of an examination's time.

Both only change when something is imported. What is needed after all is imported then, and works as ever.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

_STATISTICS = "scipy.stats"


def hide(library: str) -> None:
    """Let optional imports of ``library`` fail, unless it is there already.

    XGBoost and LightGBM import scikit-learn for their wrappers; a booster alone has no use for it, and is served in
    an environment without it.
    """
    sys.modules.setdefault(library, None)  # type: ignore[arg-type]


def postpone_statistics() -> None:
    """Import scipy.stats when something in it is used: half of scikit-learn's own time, and for fitting only."""
    sys.modules.setdefault(_STATISTICS, _Postponed(_STATISTICS))


class _Postponed(ModuleType):
    """Stands in for a module until it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Part(name)

    @property
    def __path__(self) -> Any:
        """Asked for when a module inside is imported: then the real one is needed."""
        return _statistics().__path__


class _Part:
    """One function or distribution: called, or asked for an attribute, it is the real one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return getattr(_statistics(), self._name)(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_statistics(), self._name), name)


def _statistics() -> ModuleType:
    if isinstance(sys.modules.get(_STATISTICS), _Postponed):
        del sys.modules[_STATISTICS]
    return importlib.import_module(_STATISTICS)
