"""Versions: made of uploaded files, never changed, retired when nobody should use them any more."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, Missing, NotAllowed, StateConflict
from apps.core.jobs import Job, enqueue
from apps.core.prepared import Prepared
from apps.core.states import advance
from apps.library import index, quota
from apps.library.companions import check_example, is_companion, read_companions
from apps.library.models import Artifact, MLModel, ModelVersion, Upload, VersionFile
from apps.library.names import check_distinct
from apps.library.services.cards import adopt_card
from apps.library.services.catalogue import create_model
from apps.library.services.exceptions import granted_names
from apps.library.services.uploads import StoredFile
from apps.library.store import get_store

_LAST_NUMBER = Prepared(
    lambda model: MLModel.objects.select_for_update(no_key=True).filter(pk=model).order_by().values_list("last_number"),
    model=0,
)
_HIGHEST = Prepared(
    lambda model: ModelVersion.objects.filter(model_id=model).order_by("-number").values_list("number")[:1], model=0
)
MAX_FILES = 1000
MAX_LABELS = 50


@transaction.atomic
def create_version(
    *,
    actor: Actor,
    model: MLModel,
    uploads: Sequence[Upload] = (),
    files: Sequence[StoredFile] = (),
    description: str = "",
    labels: Mapping[str, str] | None = None,
    example: Mapping[str, Any] | None = None,
    parent: ModelVersion | None = None,
    card: str = "",
) -> ModelVersion:
    """The next version of a model, made of complete uploads or of files just stored; its examination begins at once.

    Files called README.md, labels.txt, labels.json and example.json become the card, the class labels and the example
    where those are not given. The digest is the sha256 of the manifest (see ``manifest_digest``).
    """
    actor.require("version.upload", model.project)
    _refuse_foreign_parent(model, parent)
    contents = [*(_used(actor, model, upload) for upload in uploads), *_kept(model, files)]
    _check_contents(contents)
    companions = read_companions(contents, get_store())
    version = ModelVersion.objects.create(
        model=model,
        number=_next_number(model),
        digest=manifest_digest(contents),
        size=sum(file.size for file in contents),
        description=description,
        labels=_checked_labels(labels or {}),
        example=check_example(example) if example else companions.example,
        class_labels=companions.labels,
        card=card or companions.card,
        parent=parent,
        uploaded_by_id=actor.user_id,
        key_id=actor.id if actor.kind == "key" else None,
        due_at=Now(),
    )
    _attach(version, contents)
    if version.card:
        adopt_card(actor, model, version.card)
        index.remember(model, version.card)
    record(
        actor,
        "version.uploaded",
        version,
        after={"digest": version.digest, "size": version.size, "files": [file.name for file in contents]},
    )
    enqueue(Job.EXAMINE, version.pk)
    return version


@transaction.atomic
def create_named_version(*, actor: Actor, project: Project, name: str, **facts: Any) -> ModelVersion:
    """The next version of the model called ``name``, made when there is none; ``facts`` as for ``create_version``."""
    model = MLModel.objects.select_related("project").filter(project=project, name=name).first()
    model = model or create_model(actor=actor, project=project, name=name)
    return create_version(actor=actor, model=model, **facts)


@transaction.atomic
def retire_version(*, actor: Actor, version: ModelVersion, note: str = "") -> ModelVersion:
    """Take a version out of use: it can no longer be proposed. What runs already keeps running."""
    actor.require("version.retire", version.project)
    before = version.state
    advance(version, ModelVersion.State.RETIRED)
    record(actor, "version.retired", version, before={"state": before}, after={"state": version.state}, note=note)
    return version


def retire_each(*, actor: Actor, versions: Iterable[ModelVersion], note: str = "") -> dict[ModelVersion, str]:
    """Take each of these out of use on its own; returns those that could not be, each with the reason."""
    return _each(versions, lambda version: retire_version(actor=actor, version=version, note=note))


def restore_each(*, actor: Actor, versions: Iterable[ModelVersion]) -> dict[ModelVersion, str]:
    """Bring each of these back into use on its own; returns those that could not be, each with the reason."""
    return _each(versions, lambda version: restore_version(actor=actor, version=version))


def _each(versions: Iterable[ModelVersion], act: Callable[[ModelVersion], object]) -> dict[ModelVersion, str]:
    refused: dict[ModelVersion, str] = {}
    for version in versions:
        try:
            act(version)
        except (NotAllowed, StateConflict) as error:
            refused[version] = str(error.message)
    return refused


@transaction.atomic
def restore_version(*, actor: Actor, version: ModelVersion, note: str = "") -> ModelVersion:
    """Bring a retired version back into use; one that had been refused stays retired."""
    actor.require("version.retire", version.project)
    if not version.served_format:
        raise StateConflict(
            _("%(version)s never passed its examination, so there is nothing to bring back.") % {"version": version},
            advice=_("Upload a corrected file as a new version."),
        )
    if version.tier == 2 and not granted_names(version):
        raise StateConflict(
            _("The exception that %(version)s ran by was revoked.") % {"version": version},
            advice=_("Upload the file as a new version and ask for an exception again."),
        )
    advance(version, ModelVersion.State.READY)
    record(actor, "version.restored", version, before={"state": "retired"}, after={"state": "ready"}, note=note)
    return version


def manifest_digest(files: Iterable[StoredFile]) -> str:
    """sha256 over one line “name size sha256” a file, in the order of the names."""
    lines = sorted(f"{file.name} {file.size} {file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _used(actor: Actor, model: MLModel, upload: Upload) -> StoredFile:
    """The file that an upload brought; the upload is used up by this."""
    if upload.project_id != model.project_id or upload.created_by_id != actor.user_id:
        raise Missing(_("There is no upload %(id)s of yours in this project.") % {"id": upload.pk})
    if upload.state == Upload.State.RECEIVING:
        raise StateConflict(
            _("“%(name)s” has not arrived completely: %(offset)d of %(size)d bytes.")
            % {"name": upload.name, "offset": upload.offset, "size": upload.size},
            advice=_("Go on with the upload first."),
        )
    artifact = upload.artifact
    advance(upload, Upload.State.USED)
    if artifact is None:  # only a complete upload can become used, and that has one
        raise StateConflict(_("“%(name)s” has not arrived completely.") % {"name": upload.name})
    return StoredFile(upload.name, artifact.sha256, artifact.size)


def _kept(model: MLModel, files: Sequence[StoredFile]) -> Sequence[StoredFile]:
    if files:
        quota.require_room(model.project, sum(file.size for file in files))
    return files


def _check_contents(contents: Sequence[StoredFile]) -> None:
    if not contents or all(is_companion(file.name) for file in contents):
        raise Invalid(_("There is no model among these files."), advice=_("Add the file that holds the model."))
    if len(contents) > MAX_FILES:
        raise Invalid(_("A version can have at most %(limit)d files.") % {"limit": MAX_FILES})
    check_distinct(file.name for file in contents)


def _checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    fine = all(0 < len(key) <= 63 and len(str(value)) <= 255 for key, value in labels.items())
    if fine and len(labels) <= MAX_LABELS:
        return {key: str(value) for key, value in labels.items()}
    raise Invalid(
        _("These labels cannot be kept."),
        advice=_("Use at most 50, with names up to 63 and values up to 255 characters."),
        errors={"labels": [_("Too many, or too long.")]},
    )


def _refuse_foreign_parent(model: MLModel, parent: ModelVersion | None) -> None:
    if parent is not None and parent.model.project_id != model.project_id:
        raise Missing(_("There is no such parent version in this project."))


def _next_number(model: MLModel) -> int:
    """One more than there ever was; the model's row is locked, and touched so that it sorts as recently updated."""
    last = _LAST_NUMBER.first(model=model.pk) or (0,)
    MLModel.objects.filter(pk=model.pk).update(updated_at=timezone.now())
    highest = _HIGHEST.first(model=model.pk) or (0,)
    return int(max(last, highest)[0]) + 1


def _attach(version: ModelVersion, contents: Sequence[StoredFile]) -> None:
    Artifact.objects.bulk_create(
        (Artifact(sha256=file.sha256, size=file.size) for file in contents), ignore_conflicts=True
    )
    VersionFile.objects.bulk_create(
        VersionFile(version=version, artifact_id=file.sha256, name=file.name) for file in contents
    )
