"""Before the parts start: tables, cache table and static files brought up to date, and the first link made.

A process of its own (``python -m controlplane.up.preparation``), so that ``up`` stays small; larger installations run
it once per upgrade. Prints the one-time set-up link, if there is nobody to sign in yet.
"""

import hashlib
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()

from apps.accounts import services as accounts  # noqa: E402 - tables exist only once Django is set up
from apps.library.store import get_store  # noqa: E402

UNUSED = ["rest_framework", "redoc"]  # pages of packages that we do not show


def main() -> None:
    prepare_tables()
    collect_static_files()
    print(accounts.create_setup_link() or "")


def prepare_tables() -> None:
    """Bring tables up to date; with an administrator's address, leave the audit log to a role of its own."""
    if settings.SLIPWAY_DATABASE_ADMIN_URL:
        call_command("protect_audit", lift=True, stdout=sys.stderr)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    prepare_places()
    if settings.SLIPWAY_DATABASE_ADMIN_URL:
        call_command("protect_audit", stdout=sys.stderr)


def prepare_places() -> None:
    """The bucket of a first start, and the folder for what is on its way, where TMPDIR asks for one of our own."""
    get_store().prepare()
    Path(os.environ.get("TMPDIR", settings.SLIPWAY_HOME)).mkdir(mode=0o700, exist_ok=True)


def collect_static_files() -> None:
    """Copy, name by content and compress what pages load, unless nothing has changed since the last time."""
    stamp = Path(settings.STATIC_ROOT) / ".stamp"
    digest = read_static_digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=UNUSED)
    stamp.write_text(digest)


def read_static_digest() -> str:
    """One digest over names, sizes and times of all source files."""
    found = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(UNUSED):
            status = os.stat(storage.path(name))
            found.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


if __name__ == "__main__":
    main()
