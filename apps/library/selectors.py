"""Reading the library, as far as an actor can see. Lists are annotated so that no row asks the database again."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
    prefetch_related_objects,
)
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.core.errors import Missing
from apps.core.keyset import Slice, cut, cut_list
from apps.core.prepared import Prepared
from apps.library import index
from apps.library.facets import NO, YES, ModelFilter, Tally, Traits, tally
from apps.library.models import CardRevision, MLModel, ModelVersion, Upload, VersionFile
from apps.library.running import running_models

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
VERSION_ORDERINGS = {
    "number": ("number",),
    "-number": ("-number",),
    "size": ("size", "-number"),
    "-size": ("-size", "-number"),
}
HEAVY = ("card", "example", "golden", "signature", "profile", "parity", "requirements", "trusted", "class_labels")
LATEST = {
    "latest_number": "number",
    "latest_state": "state",
    "latest_framework": "framework",
    "latest_framework_version": "framework_version",
    "latest_at": "created_at",
}
TRAITS = ("pk", "latest_state", "latest_framework", "task", "tags", "created_by__email")


_BY_NAME = Prepared(
    lambda project, name: MLModel.objects.select_related("created_by").filter(project_id=project, name=name).order_by(),
    project=0,
    name="",
)


def list_models(actor: Actor, project: Project, wanted: ModelFilter | None = None) -> QuerySet[MLModel]:
    """The project's models with ``latest_…`` facts of the newest version (None without one), filtered and ordered.

    What is searched for, and not ordered otherwise, is read by ``find_models``, which knows what fits best.
    """
    wanted = wanted or ModelFilter()
    rows = _narrowed(actor, project, wanted)
    if wanted.search:
        rows = rows.filter(pk__in=[found.pk for found in index.find(project.pk, wanted.search)])
    return rows.order_by(*ORDERINGS.get(wanted.ordering, ORDERINGS["-updated"]))


def find_models(
    actor: Actor, project: Project, wanted: ModelFilter, cursor: str, size: int, columns: Sequence[str] = ()
) -> Slice:
    """One page of models: the best fit for a search first, else in the order asked for. ``columns`` give mappings."""
    if not wanted.search or wanted.ordering in ORDERINGS:
        return cut(_shaped(list_models(actor, project, wanted), columns), cursor, size)
    rows = _narrowed(actor, project, wanted)
    ranked = index.find(project.pk, wanted.search)
    if wanted.chosen:
        fitting = set(rows.filter(pk__in=[found.pk for found in ranked]).values_list("pk", flat=True))
        ranked = [found for found in ranked if found.pk in fitting]
    page = cut_list(ranked, cursor, size, key=tuple)
    shown = _shaped(rows.filter(pk__in=[found.pk for found in page.rows]), columns)
    by_name = {row["name"] if columns else row.name: row for row in shown}
    return Slice([by_name[found.name] for found in page.rows], page.next, page.previous, page.count)


def tally_models(actor: Actor, project: Project, wanted: ModelFilter) -> Tally:
    """How many models fit, and by facet what else they could be narrowed to; one query, and who tells what runs."""
    rows = _with_latest(MLModel.objects.visible_to(actor).filter(project=project), "latest_state", "latest_framework")
    if wanted.search:
        rows = rows.filter(pk__in=[found.pk for found in index.find(project.pk, wanted.search)])
    running = running_models(project)
    return tally(
        (
            Traits((state or "",), (framework or "",), (task,), (YES if pk in running else NO,), (owner,), tuple(tags))
            for pk, state, framework, task, tags, owner in rows.values_list(*TRAITS)  # type: ignore[misc]  # annotated
        ),
        wanted,
    )


def get_model(actor: Actor, project: Project, name: str) -> MLModel:
    """The model of this name; Missing when the project has none that the actor may see."""
    may_see = actor.sees_all or project.pk in actor.grants
    model: MLModel | None = _BY_NAME.first(project=project.pk, name=name) if may_see else None
    if model is None:
        raise Missing(_("There is no model “%(name)s” in this project.") % {"name": name})
    model.project = project
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
    return ordered.select_related("uploaded_by").defer(*HEAVY)


def list_newest(actor: Actor, project: Project, model: MLModel | None) -> QuerySet[ModelVersion, tuple[str, int]]:
    """Name and number of the project's newest versions, those of ``model`` first."""
    rows = ModelVersion.objects.visible_to(actor).filter(model__project=project)
    nearness = Case(When(model=model, then=0), default=1) if model else Value(0)
    return rows.order_by(nearness, "-pk").values_list("model__name", "number")


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


def card_revision(version: ModelVersion) -> int:
    """The number of the card's revision in force; what was uploaded is the first."""
    return version.card_revisions.aggregate(last=Max("number"))["last"] or 1


def list_card_revisions(version: ModelVersion) -> QuerySet[CardRevision]:
    """The card's revisions, the latest first, without their text; none before the first edit."""
    return version.card_revisions.select_related("saved_by").defer("card").order_by("-number")


def get_card_revision(version: ModelVersion, number: int) -> CardRevision:
    """One revision of the card; Missing when there is no such."""
    found = version.card_revisions.select_related("saved_by").filter(number=number).first()
    if found is None:
        raise Missing(_("The card has no revision %(number)d.") % {"number": number})
    return found


def find_versions(actor: Actor, project: Project, names: Iterable[str]) -> QuerySet[ModelVersion]:
    """Those of the project's versions that ``names`` name, as ``model/number``; of a model the newest first."""
    wanted = Q(pk=None)
    for model, _slash, number in (name.rpartition("/") for name in names):
        if number.isdecimal() and len(number) < 10:
            wanted |= Q(model__name=model, number=int(number))
    return _by_model(ModelVersion.objects.visible_to(actor).filter(wanted, model__project=project))


def find_usable_versions(actor: Actor, project: Project, models: Sequence[str]) -> QuerySet[ModelVersion]:
    """The versions of these models that can be retired."""
    usable = (ModelVersion.State.READY, ModelVersion.State.REFUSED)
    rows = ModelVersion.objects.visible_to(actor).filter(model__project=project, model__name__in=models)
    return _by_model(rows.filter(state__in=usable))


def _by_model(rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    return rows.select_related("model__project").defer(*HEAVY).order_by("model__name", "-number")


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
    found = {upload.pk: upload for upload in rows.filter(pk__in=wanted).select_related("artifact")} if wanted else {}
    for upload_id in wanted:
        if upload_id not in found:
            raise Missing(_("There is no upload %(id)s of yours in this project.") % {"id": upload_id})
    return [found[upload_id] for upload_id in wanted]


def _with_latest(rows: QuerySet[MLModel], *names: str) -> QuerySet[MLModel]:
    """Facts of the newest version: its row is found by the index over model and number."""
    newest = ModelVersion.objects.filter(model=OuterRef("pk")).order_by("-number")
    return rows.annotate(**{name: Subquery(newest.values(LATEST[name])[:1]) for name in names or LATEST})


def _narrowed(actor: Actor, project: Project, wanted: ModelFilter) -> QuerySet[MLModel]:
    """The models that fit every facet."""
    rows = _with_latest(MLModel.objects.visible_to(actor).filter(project=project))
    exact = {
        "task": wanted.task,
        "latest_framework": wanted.framework,
        "latest_state": wanted.state,
        "created_by__email": wanted.owner,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if wanted.running:
        running = Q(pk__in=running_models(project))
        rows = rows.filter(running if wanted.running == YES else ~running)
    return _tagged(rows, wanted.tag) if wanted.tag else rows


def _shaped(rows: QuerySet[MLModel], columns: Sequence[str]) -> QuerySet[Any]:
    """As mappings of these columns, or as rows with their owner."""
    return rows.values(*columns) if columns else rows.select_related("created_by")


def _tagged(rows: QuerySet[MLModel], tag: str) -> QuerySet[MLModel]:
    """Rows with exactly this tag, found in the column's text: SQLite has no containment for JSON.

    One database keeps letters beyond ASCII as they are, another as escapes; a tag holds neither quote nor backslash.
    """
    rows = rows.annotate(tagged_text=Cast("tags", TextField()))
    return rows.filter(Q(tagged_text__contains=f'"{tag}"') | Q(tagged_text__contains=f'"{_as_json(tag)}"'))


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]
