"""Server time of the pages of a busy project: 10,000 versions, 20 endpoints, a month of calls; on both databases.

``python -m tests.bench.pages [--rounds 30] [--only sqlite|postgresql]``. Measured as ``tests.bench.library`` measures
its own pages, and held against the same goal: the quickest tenth under 100 ms.
"""

import argparse
import sys

from tests.bench.library import measure, report
from tests.engines import find


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = options.parse_args()
    missed = 0
    for name in [asked.only] if asked.only else ["sqlite", "postgresql"]:
        if name == "postgresql" and not find("postgresql"):
            print("PostgreSQL is not measured: its programs are not installed.")
            continue
        ours = measure([sys.executable, "-m", "tests.bench.pages_ours"], name, asked.rounds)
        missed += report(name, ours, {})
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
