"""Single files out of installed packages, served as our own static files: no Node, no copy in the repository."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import Error, register
from django.core.files.storage import FileSystemStorage

FILES = {
    "vendor/tabler.min.css": ("starlette_admin", "static/css/vendor/tabler.min.css"),
    "vendor/tabler.min.js": ("starlette_admin", "static/js/vendor/tabler.min.js"),
    "vendor/plotly.min.js": ("plotly", "package_data/plotly.min.js"),
}


def source(name: str) -> Path:
    """The installed file behind a static name; the package is found but never imported."""
    package, path = FILES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(package)
    return Path(spec.origin).parent / path


class VendoredFilesFinder(BaseFinder):
    def find(self, path: str, find_all: bool = False, **_: Any) -> Any:
        if path not in FILES:
            return []
        found = str(source(path))
        return [found] if find_all else found

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        for name in FILES:
            path = source(name)
            storage = _Single(name, path)
            yield name, storage


class _Single(FileSystemStorage):
    """A storage with exactly one file, under another name than on disk."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(location=path.parent)
        self.prefix = None
        self._name, self._file = name, path

    def path(self, name: str) -> str:
        return str(self._file) if name == self._name else super().path(name)


@register()
def check_vendored_files(**_: Any) -> list[Error]:
    missing = [name for name in FILES if not source(name).is_file()]
    return [Error(f"{name} is missing from its package; run manage.py again.", id="slipway.E001") for name in missing]
