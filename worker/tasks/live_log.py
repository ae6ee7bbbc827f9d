"""The log of a running build, on its page while it grows."""

import time
from urllib.parse import unquote, urlsplit

from django.conf import settings

from apps.releases.models import Build
from apps.releases.services import note_build_log

_EVERY_SECONDS = 1.0
_KEPT = 65_536  # characters


class LiveLog:
    """Takes line by line and writes at most once a second: pages look no more often.

    Passwords that the settings hold are blacked out, wherever they stand in a line.
    """

    def __init__(self, build: Build) -> None:
        self.text = ""
        self._build = build
        self._written = time.monotonic()
        self._secrets = [
            secret for url in (settings.SLIPWAY_REGISTRY_URL, settings.SLIPWAY_INDEX_URL) for secret in _passwords(url)
        ]

    def __call__(self, line: str) -> None:
        """Add a line. StateConflict where another worker has taken the build over: there is nothing to go on for."""
        self.text = f"{self.text}{self._clean(line)}\n"[-_KEPT:]
        if time.monotonic() - self._written >= _EVERY_SECONDS:
            note_build_log(self._build, self.text)
            self._written = time.monotonic()

    def text_with(self, last: str) -> str:
        """All of it, with the line that shows why the build ended."""
        if not self.text:
            return self._clean(last)
        return self.text if self._clean(last) in self.text else f"{self.text}{self._clean(last)}\n"

    def _clean(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return "".join(letter if letter.isprintable() or letter in "\t\n" else " " for letter in line)


def _passwords(url: str) -> list[str]:
    """The password of an address, as it is written there and as it is meant."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return []
    return sorted({password, unquote(password)}) if password else []
