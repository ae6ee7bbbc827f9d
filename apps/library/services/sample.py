"""The sample model that a new project is offered. ``controlplane.demo.sample`` makes its files."""

from pathlib import Path

from apps.accounts.models import Project
from apps.core.actors import Actor
from apps.library.models import ModelVersion
from apps.library.services.uploads import StoredFile, store_file
from apps.library.services.versions import create_named_version

SAMPLE = "iris"
SAMPLE_FOLDER = Path(__file__).parents[1] / "sample"


def upload_sample(*, actor: Actor, project: Project) -> ModelVersion:
    """The sample as the first version of ``iris``, along the way of every upload; asked for again, the one there is."""
    actor.require("version.upload", project)
    there = ModelVersion.objects.filter(model__project=project, model__name=SAMPLE).order_by("-number").first()
    if there is not None:
        return there
    files = [_store(actor, project, path) for path in sorted(SAMPLE_FOLDER.iterdir())]
    return create_named_version(actor=actor, project=project, name=SAMPLE, files=files)


def _store(actor: Actor, project: Project, path: Path) -> StoredFile:
    with path.open("rb") as stream:
        return store_file(actor=actor, project=project, name=path.name, stream=stream)
