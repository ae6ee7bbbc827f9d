"""Prove the audit log whole, or name the first entry that is not."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation

from apps.audit.checkpoints import key_texts
from apps.audit.services import verify_chain
from apps.audit.verifier import Verdict, say


class Command(BaseCommand):
    help = "Checks every entry of the audit log, its head and all earlier checkpoints; exit code 1 if one is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="print nothing when all is well")
        parser.add_argument("--public-key", action="store_true", help="print what checkpoints are signed with, and go")

    @translation.override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        if options["public_key"]:
            self.stdout.write("\n".join(key_texts()))
            return
        found = verify_chain()
        text = say(Verdict(found.seq, found.hash, found.problem))
        if not found.is_whole:
            self.stderr.write(self.style.ERROR(text))
            sys.exit(1)
        if not options["quiet"]:
            self.stdout.write(self.style.SUCCESS(text))
