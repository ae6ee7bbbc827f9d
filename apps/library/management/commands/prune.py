"""Remove stored bytes that no version, upload or anything else refers to any more, or only list them."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils import translation

from apps.library.services import collect, find_unreferenced


class Command(BaseCommand):
    help = "Removes stored bytes that nothing refers to any more. What was brought within the grace time stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")
        parser.add_argument("--grace-hours", type=float, default=24.0, help="how long unused bytes stay (24)")

    @translation.override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        if options["grace_hours"] < 0:
            raise CommandError("--grace-hours cannot be negative.")
        grace = timedelta(hours=options["grace_hours"])
        found = list(find_unreferenced(grace=grace))
        gone = found if options["dry_run"] else collect(found, grace=grace)
        for one in gone:
            self.stdout.write(f"{one.sha256}  {one.size:>15,}{'  (known to nobody)' if one.is_stray else ''}")
        total = filesizeformat(sum(one.size for one in gone)).replace("\xa0", " ")
        verb = "would be removed" if options["dry_run"] else "removed"
        self.stdout.write(self.style.SUCCESS(f"{len(gone)} artifacts, {total}: {verb}."))
