"""Starts one probe. The sandbox shows the isolated interpreter this package alone, found by its place."""

import importlib.util
import runpy
import sys
from pathlib import Path

PROBES = ("examining", "profiling")


def main() -> None:
    name = sys.argv[1]
    if name not in PROBES:
        raise SystemExit(f"no such probe: {name}")
    package = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "worker", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec
    sys.modules["worker"] = importlib.util.module_from_spec(spec)
    runpy.run_module(f"worker.inspection.probes.{name}", run_name="__main__", alter_sys=True)


main()
