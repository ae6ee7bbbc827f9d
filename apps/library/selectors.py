"""Reading the library, as far as an actor can see. Lists are annotated so that no row asks the database again."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery, TextField, prefetch_related_objects
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.library.models import MLModel, ModelVersion, Upload, VersionFile

ORDERINGS = {
    "name": ("name",),
    "-name": ("-name",),
    "updated": ("updated_at", "name"),
    "-updated": ("-updated_at", "name"),
    "created": ("created_at", "name"),
    "-created": ("-created_at", "name"),
    "owner": ("created_by__name", "name"),
    "-owner": ("-created_by__name", "name"),
}
FILTERS = ("search", "tag", "task", "framework", "state", "ordering")
VERSION_ORDERINGS = {
    "number": ("number",),
    "-number": ("-number",),
    "size": ("size", "-number"),
    "-size": ("-size", "-number"),
}
HEAVY = ("card", "example", "golden", "signature", "profile", "parity", "requirements", "trusted", "class_labels")


@dataclass(frozen=True)
class ModelFilter:
    """What a list of models is narrowed to; empty means anything."""

    search: str = ""
    tag: str = ""
    task: str = ""
    framework: str = ""
    state: str = ""
    ordering: str = "-updated"

    @property
    def is_narrowed(self) -> bool:
        return any(getattr(self, name) for name in FILTERS if name != "ordering")


@dataclass(frozen=True)
class Facet:
    """One value that a list can be narrowed to, and how many rows it would leave."""

    value: str
    count: int
    is_chosen: bool


def list_models(actor: Actor, project: Project, wanted: ModelFilter | None = None) -> QuerySet[MLModel]:
    """The project's models with their owner and ``latest_…`` facts of the newest version (None without one)."""
    wanted = wanted or ModelFilter()
    rows = _searched(_with_latest(MLModel.objects.visible_to(actor).filter(project=project)), wanted.search)
    exact = {"task": wanted.task, "latest_framework": wanted.framework, "latest_state": wanted.state}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if wanted.tag:
        rows = _tagged(rows, wanted.tag)
    ordering = ORDERINGS.get(wanted.ordering, ORDERINGS["-updated"])
    return rows.select_related("created_by", "project").order_by(*ordering)


def count_facets(actor: Actor, project: Project, wanted: ModelFilter) -> dict[str, list[Facet]]:
    """By facet name the values found under the present search, the frequent ones first; one query."""
    rows = _searched(_with_latest(MLModel.objects.visible_to(actor).filter(project=project)), wanted.search)
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("state", "framework", "task", "tag")}
    found = rows.values_list("latest_state", "latest_framework", "task", "tags")  # type: ignore[misc]  # annotated
    for state, framework, task, tags in found:
        for name, values in {"state": [state], "framework": [framework], "task": [task], "tag": tags}.items():
            counts[name].update(value for value in values if value)
    return {
        name: [Facet(value, count, value == getattr(wanted, name)) for value, count in counter.most_common(12)]
        for name, counter in counts.items()
    }


def get_model(actor: Actor, project: Project, name: str) -> MLModel:
    """The model of this name; Missing when the project has none that the actor may see."""
    rows = MLModel.objects.visible_to(actor).select_related("project", "created_by")
    model = rows.filter(project=project, name=name).first()
    if model is None:
        raise Missing(_("There is no model “%(name)s” in this project.") % {"name": name})
    return model


def list_versions(
    actor: Actor, model: MLModel, *, search: str = "", framework: str = "", state: str = "", ordering: str = "-number"
) -> QuerySet[ModelVersion]:
    """The model's versions, newest first unless asked otherwise, with who uploaded them."""
    rows = ModelVersion.objects.visible_to(actor).filter(model=model)
    for word in search.split():
        rows = rows.filter(Q(description__icontains=word) | Q(digest__startswith=word) | Q(card__icontains=word))
    rows = rows.filter(**{name: value for name, value in {"framework": framework, "state": state}.items() if value})
    ordered = rows.order_by(*VERSION_ORDERINGS.get(ordering, VERSION_ORDERINGS["-number"]))
    return ordered.select_related("model__project", "uploaded_by", "key").defer(*HEAVY)


def get_version(actor: Actor, project: Project, model: str, number: int) -> ModelVersion:
    """One version with its model, uploader and parent at hand; Missing when the actor can't see such a version."""
    rows = ModelVersion.objects.visible_to(actor).select_related(
        "model__project", "model__created_by", "uploaded_by", "key", "parent__model"
    )
    version = rows.filter(model__project=project, model__name=model, number=number).first()
    if version is None:
        raise Missing(_("There is no version %(number)d of “%(model)s” here.") % {"number": number, "model": model})
    return version


def load_evidence(version: ModelVersion) -> ModelVersion:
    """The same version with its checks and files at hand, in three queries however many there are."""
    files = Prefetch("files", VersionFile.objects.select_related("artifact").order_by("-role", "name"))
    prefetch_related_objects([version], "checks", files)
    return version


def list_history(version: ModelVersion) -> QuerySet[Entry]:
    """Who did what to this version, the latest first. Whoever sees the version may see that."""
    return Entry.objects.filter(object_type=version._meta.model_name, object_id=str(version.pk)).order_by("-seq")


def list_files(version: ModelVersion) -> QuerySet[VersionFile]:
    """What was uploaded first, then what was made of it."""
    return version.files.select_related("artifact").order_by("-role", "name")


def choose_files(version: ModelVersion, name: str = "") -> Sequence[VersionFile]:
    """The uploaded files, or the one of this name; Missing when there is none."""
    files = list_files(version)
    chosen = list(files.filter(name=name)[:1] if name else files.filter(role=VersionFile.Role.SOURCE))
    if not chosen:
        raise Missing(_("%(version)s has no file “%(name)s”.") % {"version": version, "name": name[:80]})
    return chosen


def get_upload(actor: Actor, upload_id: UUID) -> Upload:
    """A transfer of the actor's own; Missing for anybody else's and for one that has ended."""
    rows = Upload.objects.visible_to(actor).select_related("project")
    live = [Upload.State.RECEIVING, Upload.State.COMPLETE]
    upload = rows.filter(pk=upload_id, created_by_id=actor.user_id, state__in=live).first()
    if upload is None:
        raise Missing(
            _("There is no such upload, or it has expired."), advice=_("Begin again: what was sent is no longer here.")
        )
    return upload


def get_uploads(actor: Actor, project: Project, ids: Iterable[UUID]) -> Sequence[Upload]:
    """The actor's uploads in this project, in the order asked for; Missing names the first that isn't there."""
    wanted = list(ids)
    rows = Upload.objects.visible_to(actor).filter(project=project, created_by_id=actor.user_id)
    found = {upload.pk: upload for upload in rows.filter(pk__in=wanted).select_related("artifact", "project")}
    for upload_id in wanted:
        if upload_id not in found:
            raise Missing(_("There is no upload %(id)s of yours in this project.") % {"id": upload_id})
    return [found[upload_id] for upload_id in wanted]


def _with_latest(rows: QuerySet[MLModel]) -> QuerySet[MLModel]:
    """Facts of the newest version: its row is found once, by the index over model and number, then joined."""
    newest = ModelVersion.objects.filter(model=OuterRef("pk")).order_by("-number")

    def fact(name: str) -> Subquery:
        return Subquery(newest.values(name)[:1])

    return rows.annotate(
        latest_number=fact("number"),
        latest_state=fact("state"),
        latest_framework=fact("framework"),
        latest_framework_version=fact("framework_version"),
        latest_at=fact("created_at"),
    )


def _searched(rows: QuerySet[MLModel], search: str) -> QuerySet[MLModel]:
    """Rows in which every word stands somewhere: in the name, the description, the task, a tag or the owner's name."""
    if search:
        rows = rows.annotate(tags_text=Cast("tags", TextField()))
    for word in search.split():
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(description__icontains=word)
            | Q(task__icontains=word)
            | Q(tags_text__icontains=_as_json(word))
            | Q(tags_text__icontains=word)
            | Q(created_by__name__icontains=word)
            | Q(created_by__email__icontains=word)
        )
    return rows


def _tagged(rows: QuerySet[MLModel], tag: str) -> QuerySet[MLModel]:
    """Rows with exactly this tag, found in the column's text: SQLite has no containment for JSON.

    One database keeps letters beyond ASCII as they are, another as escapes; a tag holds neither quote nor backslash.
    """
    rows = rows.annotate(tagged_text=Cast("tags", TextField()))
    return rows.filter(Q(tagged_text__contains=f'"{tag}"') | Q(tagged_text__contains=f'"{_as_json(tag)}"'))


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]
