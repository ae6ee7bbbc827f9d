"""Reading the log: what an actor may see of it, filtered, and as an export that can be verified."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.db.models import Model, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.checkpoints import last_checkpoint, sign_export
from apps.audit.models import Entry, Head
from apps.audit.verifier import EXPORTED, line_of
from apps.core.actors import Actor
from apps.core.errors import Missing, NotAllowed, StateConflict

BATCH = 2000
WORDS_LAST = 300  # looking through 100,000 entries for them takes a tenth of a second


def get_project(actor: Actor, slug: str, permission: str) -> Any:
    """The project at this address. (Projects live a layer above the log, hence by name, like the foreign key.)"""
    model: type[Model] = apps.get_model("accounts.Project")
    project = model._default_manager.visible_to(actor).filter(slug=slug).first()  # type: ignore[attr-defined]
    if project is None:
        raise Missing(_("There is no project “%(slug)s” for you.") % {"slug": slug})
    actor.require(permission, project)
    return project


def entries(actor: Actor, project: Any = None) -> QuerySet[Entry]:
    """Entries of one project, or of all whose log the actor may read; those of no project only with the whole log."""
    rows = Entry.objects.select_related("project")
    if project is not None:
        return rows.filter(project=project)
    if actor.may("audit.view_all"):
        return rows
    readable = [pk for pk in actor.grants if actor.may("audit.view", pk)]
    if not readable:
        raise NotAllowed(_("Your role does not include the audit log."))
    return rows.filter(project__in=readable)


def narrow(rows: QuerySet[Entry], wanted: Mapping[str, Any]) -> QuerySet[Entry]:
    """Apply the filters that are filled in: actor, action, thing, object_id, since, until, text."""
    if actor := wanted.get("actor"):
        rows = rows.filter(actor_label__icontains=actor)
    if action := wanted.get("action"):
        rows = rows.filter(action=action) if "." in action else rows.filter(action__startswith=f"{action}.")
    if thing := wanted.get("thing"):
        rows = rows.filter(object_type=thing)
    if object_id := wanted.get("object_id"):
        rows = rows.filter(object_id=object_id)
    if since := wanted.get("since"):
        rows = rows.filter(at__gte=_midnight(since))
    if until := wanted.get("until"):
        rows = rows.filter(at__lt=_midnight(until + timedelta(days=1)))
    if text := wanted.get("text"):
        fields = ("object_label", "reason", "before", "after", "request_id", "actor_label", "ip")
        rows = rows.filter(_any_contains(fields, text))
    return rows


def words(rows: QuerySet[Entry], project: Any = None) -> dict[str, list[str]]:
    """The ``actions`` and ``things`` that entries speak of, for the filters; up to ``WORDS_LAST`` seconds old."""
    key = f"audit-words-{project.pk if project else 'all'}"
    known: dict[str, list[str]] | None = cache.get(key)
    if known is None:
        known = {"actions": _each(rows, "action"), "things": _each(rows, "object_type")}
        cache.set(key, known, WORDS_LAST)
    return known


def _each(rows: QuerySet[Entry], field: str) -> list[str]:
    return sorted(rows.order_by().values_list(field, flat=True).distinct())


def chain(after: int, until: int) -> Iterator[dict[str, Any]]:
    """Entries in order as the verifier reads them, in constant memory: from the next one up to ``until``, if there."""
    rows = Entry.objects.filter(seq__gt=after, seq__lte=until).order_by("seq").values_list(*EXPORTED).iterator(BATCH)
    return (dict(zip(EXPORTED, row, strict=True)) for row in rows)


def head() -> tuple[int, str]:
    row = Head.objects.get(pk=1)
    return row.seq, row.hash


def strays() -> bool:
    """Whether entries stand beyond the head; asked in one statement, since both move in the same transaction."""
    return Entry.objects.filter(seq__gt=Subquery(Head.objects.filter(pk=1).values("seq"))).exists()


def export_lines(actor: Actor, project: Any = None) -> Iterator[str]:
    """The log as JSON lines that ``verifier.py`` can check; the last line is the signed manifest.

    For one project, entries of others are links: number and hashes only. StateConflict for a log that contradicts what
    was signed before: nothing is signed about such a one.
    """
    actor.require("audit.export" if project else "audit.view_all", project)
    signed = last_checkpoint()
    if signed and signed.seq and not Entry.objects.filter(seq=signed.seq, hash=signed.hash).exists():
        raise StateConflict(
            _("The log is not the one whose checkpoints were signed, so it cannot be exported."),
            advice=_("Run “manage.py verify_audit”, and compare the database with a backup."),
        )
    return _lines(project)


def _lines(project: Any) -> Iterator[str]:
    end, digest = head(), hashlib.sha256()
    for entry in chain(0, end[0]):
        is_ours = project is None or entry["project_id"] == project.pk
        line = line_of(entry if is_ours else {name: entry[name] for name in ("seq", "previous", "hash")})
        digest.update(line.encode())
        yield line
    manifest = sign_export(*end, project=getattr(project, "slug", ""), sha256=digest.hexdigest())
    yield json.dumps({"manifest": manifest}) + "\n"


def _any_contains(fields: tuple[str, ...], text: str) -> Q:
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": text})
    return found


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
