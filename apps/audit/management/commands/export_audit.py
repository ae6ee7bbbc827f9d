"""The whole audit log as JSON lines on standard output; ``apps/audit/verifier.py`` checks it anywhere."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.audit.selectors import export_lines
from apps.core.actors import SYSTEM


class Command(BaseCommand):
    help = "Writes the whole audit log as JSON lines, to be kept elsewhere and checked with apps/audit/verifier.py."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in export_lines(SYSTEM):
            self.stdout.write(line, ending="")
