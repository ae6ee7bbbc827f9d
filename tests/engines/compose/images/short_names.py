"""Swift wants access keys of the form ``account:user``; callers of this stand-in use a plain name."""

import re
from collections.abc import Callable, Iterable
from typing import Any

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def make_filter(_settings: dict[str, str], **_local: str) -> Callable[[App], App]:
    def wrap(app: App) -> App:
        def call(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            header = environ.get("HTTP_AUTHORIZATION", "")
            environ["HTTP_AUTHORIZATION"] = re.sub(r"Credential=([^:/]+)/", r"Credential=\1:\1/", header)
            return app(environ, start)

        return call

    return wrap
