"""Prints our verdict on the corpus of pickles beside those of picklescan, fickling and modelscan.

The scanners are asked from an environment of their own, which is thrown away:

    uv venv /tmp/scanners
    uv pip install --python /tmp/scanners/bin/python picklescan fickling modelscan typing_extensions
    python -m tests.bench.scanners /tmp/scanners/bin

Every file is one that must be refused. A scanner's column says ``bad`` where it raises an alarm, ``-`` where it sees
nothing, ``?`` where it cannot read the file. The last line counts what each let pass.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.worker.inspection import corpus, malice
from tests.worker.inspection.cases import Case

BIN = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("/tmp/scanners/bin")
SECONDS = 60
LARGEST = 1 << 20  # the bombs are left out: several of the scanners would take the machine down

# All three in one process each, since starting one takes longer than scanning.
PICKLESCAN = """
import json, logging, sys
from picklescan.scanner import SafetyLevel, scan_file_path
logging.disable()
for path in json.load(sys.stdin):
    try:
        found = scan_file_path(path)
        bad = any(g.safety == SafetyLevel.Dangerous for g in found.globals)
        print("bad" if bad else "?" if found.scan_err else "-")
    except Exception:
        print("?")
"""
FICKLING = """
import json, sys
from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
for path in json.load(sys.stdin):
    try:
        with open(path, "rb") as file:
            print("-" if check_safety(Pickled.load(file)).severity == Severity.LIKELY_SAFE else "bad")
    except Exception:
        print("?")
"""
MODELSCAN = """
import json, logging, sys
from modelscan.modelscan import ModelScan
logging.disable()
for path in json.load(sys.stdin):
    try:
        found = ModelScan().scan(path)
        read = not found["errors"] and found["summary"]["scanned"]["total_scanned"]
        print("bad" if found["issues"] else "-" if read else "?")
    except Exception:
        print("?")
"""
SCANNERS = {"picklescan": PICKLESCAN, "fickling": FICKLING, "modelscan": MODELSCAN}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [case for case in malice.cases(folder / "marker") if _is_small(case)]
        paths = [_write(folder / str(number), case) for number, case in enumerate(cases)]
        corpus.write(cases, folder)
        columns = {"ours": _ours(folder)} | {name: _ask(code, paths) for name, code in SCANNERS.items()}
    print(f"{'':58}" + "".join(f"{name:>12}" for name in columns))
    for number, case in enumerate(cases):
        print(f"{case.label[:57]:58}" + "".join(f"{column[number]:>12}" for column in columns.values()))
    passed: Callable[[list[str]], int] = lambda column: Counter(column)["-"]  # noqa: E731
    print(f"{len(cases)} files; let pass".ljust(58) + "".join(f"{passed(column):>12}" for column in columns.values()))


def _is_small(case: Case) -> bool:
    return len(case.files) == 1 and all(isinstance(data, bytes) and len(data) < LARGEST for data in case.files.values())


def _write(folder: Path, case: Case) -> str:
    """The file under the name that it came with: some scanners go by that."""
    folder = folder.with_name(f"named-{folder.name}")
    folder.mkdir()
    for name, data in case.files.items():
        assert isinstance(data, bytes)
        (folder / name).write_bytes(data)
    return str(folder / name)


def _ours(folder: Path) -> list[str]:
    line = [sys.executable, "-m", "tests.worker.inspection.judging", folder, folder / "marker"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return ["bad" if json.loads(answer).get("check") else "-" for answer in done.stdout.splitlines()]


def _ask(code: str, paths: list[str]) -> list[str]:
    """One answer a file; all ``?`` from where a scanner died."""
    line = [BIN / "python", "-W", "ignore", "-c", code]
    done = subprocess.run(
        line, input=json.dumps(paths), capture_output=True, text=True, check=False, timeout=SECONDS * 5
    )
    answers = [line for line in done.stdout.splitlines() if line in ("bad", "-", "?")]
    return answers + ["?"] * (len(paths) - len(answers))


if __name__ == "__main__":
    main()
