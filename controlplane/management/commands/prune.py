"""Remove what nothing refers to any more: stored bytes, images in the registry and on hosts. Or only list it."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils import translation

from apps.deployments.keeping import is_building, needed_digests
from apps.library.services import collect, find_unreferenced
from worker.builders.image.pruning import bytes_freed, list_images, remove_images, unneeded
from worker.errors import ToolError
from worker.specs import RegistryAccess
from worker.tasks.images import registry
from worker.tasks.tidying import find_garbage


class Command(BaseCommand):
    help = (
        "Removes stored bytes that nothing refers to any more, and images of releases that cannot be started any more."
        " What was brought or built within the grace time stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")
        parser.add_argument("--grace-hours", type=float, default=24.0, help="how long unused bytes stay (24)")

    @translation.override("en")
    def handle(self, *args: Any, **options: Any) -> None:
        if options["grace_hours"] < 0:
            raise CommandError("--grace-hours cannot be negative.")
        grace, is_dry = timedelta(hours=options["grace_hours"]), options["dry_run"]
        self._prune_artifacts(grace, is_dry)
        try:
            access = registry()
            if access is not None:
                self._prune_images(access, grace, is_dry)
                self._tidy_targets(grace, is_dry)
        except ToolError as error:
            raise CommandError(str(error)) from error

    def _prune_artifacts(self, grace: timedelta, is_dry: bool) -> None:
        found = list(find_unreferenced(grace=grace))
        gone = found if is_dry else collect(found, grace=grace)
        for one in gone:
            self.stdout.write(f"{one.sha256}  {one.size:>15,}{'  (known to nobody)' if one.is_stray else ''}")
        self._conclude(f"{len(gone)} artifacts", sum(one.size for one in gone), is_dry)

    def _prune_images(self, access: RegistryAccess, grace: timedelta, is_dry: bool) -> None:
        """First what is there, then what is needed: an image that is built in between is not among the first."""
        images = list_images(access)
        if is_building():
            self.stdout.write("A build is on its way, so no image was touched. Try again when it has ended.")
            return
        gone = unneeded(images, needed_digests(grace=grace))
        for image in gone:
            self.stdout.write(f"{image.repository}  {', '.join(image.tags)}  {image.digest}")
        if not is_dry:
            remove_images(access, gone)
        self._conclude(f"{len(gone)} of {len(images)} images", bytes_freed(images, gone), is_dry)
        if gone and not is_dry:
            self.stdout.write("The registry gives the space back when it next collects its garbage.")

    def _tidy_targets(self, grace: timedelta, is_dry: bool) -> None:
        """After the registry's: what is gone there is needed on no host."""
        for target, names in find_garbage(grace=grace, is_dry=is_dry):
            for name in names:
                self.stdout.write(f"{target.name}  {name}")
            self.stdout.write(
                self.style.SUCCESS(f"{len(names)} on {target.name}: {'would be removed' if is_dry else 'removed'}.")
            )

    def _conclude(self, what: str, size: int, is_dry: bool) -> None:
        verb = "would be removed" if is_dry else "removed"
        total = filesizeformat(size).replace("\xa0", " ")
        self.stdout.write(self.style.SUCCESS(f"{what}, {total}: {verb}."))
