"""Say whether everything holds that must hold at any time, and where it does not."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation

from controlplane.selfcheck import find_problems


class Command(BaseCommand):
    help = (
        "Looks at routes, targets, approvals, leases, the audit log and the store, without changing anything; "
        "exit code 1 when something does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deep", action="store_true", help="read every stored byte again (as long as that takes)")

    @translation.override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        found = find_problems(is_deep=options["deep"])
        for name, problems in found.items():
            mark = self.style.ERROR("✗") if problems else self.style.SUCCESS("✓")
            self.stdout.write(f"{mark} {name}")
            for problem in problems:
                self.stdout.write(f"    {problem}")
        count = sum(map(len, found.values()))
        if count:
            self.stderr.write(self.style.ERROR(f"{count} problem{'s' * (count > 1)}."))
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS("Everything holds."))
