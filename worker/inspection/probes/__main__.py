"""Starts one probe. The sandbox shows the isolated interpreter this package alone, found by its place."""

import runpy
import sys
from pathlib import Path
from types import ModuleType

PROBES = ("examining", "converting", "profiling")


def main() -> None:
    name = sys.argv[1]
    if name not in PROBES:
        raise SystemExit(f"no such probe: {name}")
    _make_packages(Path(__file__).resolve().parents[2])
    runpy.run_module(f"worker.inspection.probes.{name}", run_name="__main__", alter_sys=True)


def _make_packages(place: Path) -> None:
    """The packages above this one, without running their ``__init__``: those are for the outside."""
    for name, folder in (("worker", place), ("worker.inspection", place / "inspection")):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(folder)]


main()
