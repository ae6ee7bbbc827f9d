"""Asks picklescan about one file and prints what it says. It reads the stream and unpickles nothing."""

import io
import json
import logging
import sys
from importlib import metadata
from typing import Any

from picklescan.scanner import SafetyLevel, ScanResult, scan_pickle_bytes

LISTED = 20


def main() -> None:
    """The path on the command line, one object of JSON on standard output."""
    logging.disable()
    with open(sys.argv[1], "rb") as file:
        found = scan_pickle_bytes(io.BytesIO(file.read()), "model")
    print(json.dumps({"scanner": f"picklescan {metadata.version('picklescan')}", **summarise(found)}))


def summarise(found: ScanResult) -> dict[str, Any]:
    """One word, and the names behind it. “Suspicious” is any name that it does not know: every model has some."""
    dangerous = {f"{each.module}.{each.name}"[:200] for each in found.globals if each.safety == SafetyLevel.Dangerous}
    word = "dangerous" if dangerous else "unreadable" if found.scan_err else "nothing dangerous"
    return {"verdict": word, "dangerous": sorted(dangerous)[:LISTED]}


if __name__ == "__main__":
    main()
