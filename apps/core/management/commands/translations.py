"""Bring the catalogues of translations to what the source says, and compile them.

    python3 manage.py translations

Run it after adding or changing a text for people. It lists what lacks a translation: write those into
``apps/core/locale/zh_Hans/LC_MESSAGES/django.po`` (keep parts such as ``%(name)s`` as they are) and run it again.
Exit code 1 while something is missing; ``tests/house/test_translations.py`` fails as long.
"""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import to_locale

from apps.core.translations.catalogues import Report, merge, path_of
from apps.core.translations.extraction import find_texts


class Command(BaseCommand):
    help = "Brings the catalogues of translations to what the source says, compiles them, and lists what is missing."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        texts = find_texts(Path(settings.BASE_DIR))
        folder = Path(settings.LOCALE_PATHS[0])
        languages = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
        reports = {code: merge(path_of(folder, to_locale(code)), texts) for code in languages}
        for code, report in reports.items():
            self._print(code, report)
        if any(report.missing for report in reports.values()):
            sys.exit(1)

    def _print(self, code: str, report: Report) -> None:
        for text in report.gone:
            self.stdout.write(f"{code}: gone: {text}")
        for text in report.missing:
            self.stdout.write(self.style.WARNING(f"{code}: missing: {text}"))
        self.stdout.write(f"{code}: {report.total} texts, {len(report.missing)} without a translation")
