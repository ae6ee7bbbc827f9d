"""Prints our verdict on everything malicious in the corpus beside those of picklescan, fickling and modelscan.

The scanners are asked from an environment of their own, which is thrown away:

    uv venv /tmp/scanners
    uv pip install --python /tmp/scanners/bin/python picklescan fickling modelscan typing_extensions
    python -m tests.bench.scanners /tmp/scanners/bin

Every file is one that must be refused. A scanner's column says ``bad`` where it raises an alarm, ``-`` where it sees
nothing, ``?`` where it cannot read the file; of several files the worst word counts. The last lines count what each let
pass, and what it could not read. Exit code 1 where we let a file pass.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.worker.inspection import corpus
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


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = list(corpus.malicious(folder / "marker"))
        cases = [case for case in found if _is_small(case)]
        paths = [_write(folder / str(number), case) for number, case in enumerate(cases)]
        corpus.write(cases, folder)
        columns = {"ours": _ours(folder)} | {name: _judge(code, paths) for name, code in SCANNERS.items()}
    print(f"{'':58}" + "".join(f"{name:>12}" for name in columns))
    for number, case in enumerate(cases):
        print(f"{case.label[:57]:58}" + "".join(f"{column[number]:>12}" for column in columns.values()))
    for word, title in (("-", "let pass"), ("?", "not read")):
        counts = (Counter(column)[word] for column in columns.values())
        print(f"{len(cases)} uploads; {title}".ljust(58) + "".join(f"{count:>12}" for count in counts))
    print(f"left out for their size: {', '.join(case.label for case in found if not _is_small(case)) or 'none'}")
    return int("-" in columns["ours"])


def _is_small(case: Case) -> bool:
    return all(isinstance(data, bytes) and len(data) < LARGEST for data in case.files.values())


def _write(folder: Path, case: Case) -> list[str]:
    """The files under the names that they came with: some scanners go by that."""
    folder = folder.with_name(f"named-{folder.name}")
    folder.mkdir()
    for name, data in case.files.items():
        assert isinstance(data, bytes)
        (folder / name).write_bytes(data)
    return [str(folder / name) for name in case.files]


def _ours(folder: Path) -> list[str]:
    line = [sys.executable, "-m", "tests.worker.inspection.judging", folder, folder / "marker"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return ["bad" if json.loads(answer).get("check") else "-" for answer in done.stdout.splitlines()]


def _judge(code: str, uploads: list[list[str]]) -> list[str]:
    """The worst word for the files of each upload."""
    answers = iter(_ask(code, [path for paths in uploads for path in paths]))
    return [min((next(answers) for _ in paths), key=("bad", "?", "-").index) for paths in uploads]


def _ask(code: str, paths: list[str]) -> list[str]:
    """One answer a file; all ``?`` from where a scanner died."""
    line = [BIN / "python", "-W", "ignore", "-c", code]
    done = subprocess.run(
        line, input=json.dumps(paths), capture_output=True, text=True, check=False, timeout=SECONDS * 5
    )
    answers = [line for line in done.stdout.splitlines() if line in ("bad", "-", "?")]
    return answers + ["?"] * (len(paths) - len(answers))


if __name__ == "__main__":
    sys.exit(main())
