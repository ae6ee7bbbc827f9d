"""What runs behind the wall of ``room``: takes requests from its folder, number by number, until it is told to leave.

It finds the probes by their place, as ``worker/inspection/probes/__main__.py`` does, and sees nothing else of ours.
"""

import faulthandler
import importlib
import json
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

POLL = 0.005


def main(worker: Path, folder: Path, number: int) -> None:
    for name, place in (("worker", worker), ("worker.inspection", worker / "inspection")):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(place)]
    importlib.import_module("worker.inspection.probes.leaner").postpone_statistics()
    probes = {
        "examining": importlib.import_module("worker.inspection.probes.examining").examine,
        "profiling": importlib.import_module("worker.inspection.probes.profiling").profile,
    }
    importlib.import_module("worker.inspection.probes.profiling").BUDGET = 0.01  # of what is compared, not measured
    reporting = importlib.import_module("worker.inspection.probes.reporting")
    while (request := next_request(folder / f"{number}.request")) is not None:
        faulthandler.dump_traceback_later(request["seconds"], exit=True)
        code = 0
        with open(request["events"], "a", encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                probes[request["probe"]](request, reporting.Reporter(file))
            except SystemExit as end:
                code = int(end.code or 0)
        faulthandler.cancel_dump_traceback_later()
        (folder / "answer").write_text(str(code))
        (folder / "answer").rename(folder / f"{number}.done")
        number += 1


def next_request(path: Path) -> Any:
    while not path.exists():
        time.sleep(POLL)
    return json.loads(path.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
