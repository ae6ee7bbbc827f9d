"""Make a new master key, pepper or session key; with ``--forget``, remove the earlier ones.

python3 manage.py rotate_keys master     sealed credentials; everything is sealed again at once
python3 manage.py rotate_keys pepper     what API keys are made with
python3 manage.py rotate_keys session    what signs sessions; web processes use it after their next start
"""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from apps.accounts.services import rotation
from apps.core.errors import StateConflict
from apps.core.sealing import SealBroken

KINDS: dict[str, tuple[Callable[[], int | None], Callable[[], None]]] = {
    "master": (rotation.rotate_master_key, rotation.forget_master_keys),
    "pepper": (rotation.rotate_pepper, rotation.forget_peppers),
    "session": (rotation.rotate_session_key, rotation.forget_session_keys),
}


class Command(BaseCommand):
    help = "Makes a new master key, pepper or session key. What the earlier ones closed goes on opening."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("--forget", action="store_true", help="remove the earlier ones instead")

    @translation.override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        rotate, forget = KINDS[options["kind"]]
        try:
            count = forget() if options["forget"] else rotate()
        except StateConflict as conflict:
            raise CommandError(str(conflict)) from conflict
        except SealBroken as broken:
            raise CommandError(
                f"{broken} does not open with any master key here. Enter its credentials again, then run this again."
            ) from broken
        done = "the earlier ones are removed" if options["forget"] else "a new one is in use"
        sealed = f", {count} values sealed again" if count is not None else ""
        self.stdout.write(self.style.SUCCESS(f"{options['kind']}: {done}{sealed}. Back up the secrets folder now."))
