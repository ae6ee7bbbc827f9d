"""Leaves out what libraries import and a probe does not need: the imports are most of an examination's time.

Both only change when something is imported. What is needed after all is imported then, and works as ever.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
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
    if _STATISTICS not in sys.modules:
        sys.modules[_STATISTICS] = _Postponed(_STATISTICS)
        sys.meta_path.insert(0, _Finder())


class _Postponed(ModuleType):
    """Stands in for the package until it is used."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Part(name)


class _Part:
    """One function or distribution: called, or asked for an attribute, it is the real one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return getattr(_statistics(), self._name)(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_statistics(), self._name), name)


class _Finder(MetaPathFinder, Loader):
    """Where a module inside is imported, the real package comes first."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_STATISTICS + ".") or not isinstance(sys.modules.get(_STATISTICS), _Postponed):
            return None
        _statistics()
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """It has been, where it was imported."""


def _statistics() -> ModuleType:
    if isinstance(sys.modules.get(_STATISTICS), _Postponed):
        del sys.modules[_STATISTICS]
    return importlib.import_module(_STATISTICS)
