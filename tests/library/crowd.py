"""Many threads at once on a real database: reserving the same room, and bringing bytes that are being collected.

Run as a program, with the database in the environment; prints what came of it as JSON.
"""

import io
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import django
from django.core.management import call_command
from django.db import connections

CROWD = 50
FITS = 7
SIZE = 1000
ROUNDS = 12


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps({"reserved": reserve_at_once(), "bare": bring_and_collect()}))


def reserve_at_once() -> int:
    """Everybody asks for one of seven places; how many got one."""
    # Models can be imported once Django is set up, and not before.
    from apps.core.errors import Invalid
    from apps.library.services import create_upload
    from tests.cast import gather

    cast = gather()
    cast.project.quota_bytes = FITS * SIZE + SIZE - 1
    cast.project.save()
    dana = cast.actor("dana")
    gate = threading.Barrier(CROWD)

    def reserve(number: int) -> bool:
        gate.wait()
        try:
            create_upload(actor=dana, project=cast.project, name=f"{number}.onnx", size=SIZE)
        except Invalid:
            return False
        return True

    return sum(run_at_once([partial(reserve, number) for number in range(CROWD)]))


def bring_and_collect() -> int:
    """The same bytes are brought and collected at once, again and again; how often a row stood without its bytes."""
    from apps.library.models import Artifact
    from apps.library.services import collect, find_unreferenced
    from apps.library.services.artifacts import keep
    from apps.library.store import get_store

    at_once = timedelta(0)

    def bring() -> bool:
        return bool(keep(io.BytesIO(b"weights")))

    def remove() -> bool:
        return bool(collect(list(find_unreferenced(grace=at_once)), grace=at_once))

    bare = 0
    for _round in range(ROUNDS):
        run_at_once([bring, remove, bring, remove])
        bare += sum(not get_store().exists(row.sha256) for row in Artifact.objects.all())
    return bare


def run_at_once(deeds: list[Callable[[], bool]]) -> list[bool]:
    def run(deed: Callable[[], bool]) -> bool:
        try:
            return deed()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as crowd:
        return list(crowd.map(run, deeds))


if __name__ == "__main__":
    main()
