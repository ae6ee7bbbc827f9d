"""Making and changing targets, environments and endpoints."""

import json
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.accounts.models import Project
from apps.audit.services import record
from apps.core import leases
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Invalid
from apps.core.jobs import Job, enqueue
from apps.core.sealing import seal, unseal
from apps.targets.configs import refuse_settings
from apps.targets.models import DRAINING_KINDS, Endpoint, Environment, Target
from apps.targets.selectors import node_names

LOCAL = "this-machine"
KINDS = ("process", "docker", "swarm")  # the drivers there are: ``tests/house`` holds them against worker.drivers
CHECK_EVERY_SECONDS = 60
CHECK_LEASE_SECONDS = 60
CHECK_ATTEMPTS = 5  # lost workers in a row
PARK_SECONDS = 600
_LOST = {
    "name": gettext_noop("reach"),
    "ok": False,
    "detail": {
        "text": gettext_noop("The worker was lost %(attempts)d times in a row while it looked at this target."),
        "params": {"attempts": CHECK_ATTEMPTS},
    },
}
ENVIRONMENT_FIELDS = ("description", "approvals_required", "starts_by_itself", "approval_days", "target_id")
ENDPOINT_FIELDS = ("description", "max_body_bytes", "timeout_seconds", "is_idempotent")
TARGET_FIELDS = ("config", "is_enabled")


@transaction.atomic
def create_target(
    *, actor: Actor, name: str, kind: str, config: dict[str, Any] | None = None, secrets: dict[str, str] | None = None
) -> Target:
    """Add somewhere models can run. Credentials are sealed at once and never shown again."""
    actor.require("target.edit")
    if kind not in KINDS:
        raise Invalid(
            _("“%(kind)s” is not a kind of target.") % {"kind": kind},
            errors={"kind": [_("Choose one of: %(kinds)s.") % {"kinds": ", ".join(KINDS)}]},
        )
    refuse_settings(kind, config or {}, secrets or {})
    if Target.objects.filter(name=name).exists():
        raise Invalid(_("There is a target “%(name)s” already.") % {"name": name}, errors={"name": [_("Taken.")]})
    target = Target.objects.create(name=name, kind=kind, config=config or {}, due_at=Now())
    if secrets:
        Target.objects.filter(pk=target.pk).update(sealed=seal(json.dumps(secrets), target.seal_place))
    record(actor, "target.created", target, after={"kind": kind, "config": target.config})
    enqueue(Job.CHECK_TARGET, target.pk)
    return target


@transaction.atomic
def edit_target(*, actor: Actor, target: Target, secrets: dict[str, str] | None = None, **changes: Any) -> Target:
    """Change settings, or replace credentials: what ``secrets`` holds takes the place of what was sealed before."""
    actor.require("target.edit")
    row = Target.objects.select_for_update().get(pk=target.pk)
    given = {name: text for name, text in (secrets or {}).items() if text}
    refuse_settings(row.kind, changes.get("config", row.config), {**open_secrets(row), **given})
    _edit(actor, "target.edited", row, changes, TARGET_FIELDS)
    if given:
        sealed = seal(json.dumps({**open_secrets(row), **given}), row.seal_place)
        Target.objects.filter(pk=row.pk).update(sealed=sealed, updated_at=timezone.now())
        record(actor, "target.credentials_replaced", row, after={"secrets": sorted(given)})
    if given or "config" in changes:
        Target.objects.filter(pk=row.pk).update(due_at=Now())
        enqueue(Job.CHECK_TARGET, row.pk)
    row.refresh_from_db()
    return row


@transaction.atomic
def drain_node(*, actor: Actor, target: Target, node: str) -> Target:
    """Start nothing on a machine any more; what runs there moves to others, each replica once its next one answers."""
    return _set_draining(actor, "target.node_drained", target, node, is_draining=True)


@transaction.atomic
def undrain_node(*, actor: Actor, target: Target, node: str) -> Target:
    """Let a machine take replicas again. What moved off it stays where it is."""
    return _set_draining(actor, "target.node_undrained", target, node, is_draining=False)


def _set_draining(actor: Actor, action: str, target: Target, node: str, *, is_draining: bool) -> Target:
    actor.require("target.edit")
    row = Target.objects.select_for_update().get(pk=target.pk)
    if row.kind not in DRAINING_KINDS or node not in node_names(row):
        raise Invalid(_("“%(node)s” is no machine of this target that can be drained here.") % {"node": node})
    before = sorted(row.draining)
    after = sorted({*before, node} if is_draining else set(before) - {node})
    if before != after:
        Target.objects.filter(pk=row.pk).update(draining=after, due_at=Now(), updated_at=timezone.now())
        record(actor, action, row, before={"draining": before}, after={"draining": after})
        enqueue(Job.CHECK_TARGET, row.pk)
    row.refresh_from_db()
    return row


@transaction.atomic
def ask_for_check(*, actor: Actor, target: Target) -> Target:
    """Have the target looked at now instead of when its turn comes."""
    actor.require("target.edit")
    Target.objects.filter(pk=target.pk).update(due_at=Now())
    record(actor, "target.check_asked", target)
    enqueue(Job.CHECK_TARGET, target.pk)
    return target


def open_secrets(target: Target) -> dict[str, str]:
    """The target's credentials in the clear, for a driver's hands only."""
    return json.loads(unseal(target.sealed, target.seal_place)) if target.sealed else {}


def begin_check(pk: int) -> Target | None:
    """The target under a lease, or None when another worker looks. One whose checks kill their workers is parked."""
    target = leases.take(Target, pk, seconds=CHECK_LEASE_SECONDS)
    if target is not None and target.attempts > CHECK_ATTEMPTS:
        finish_check(target, is_reachable=False, lines=[_LOST], nodes=[], due_in=PARK_SECONDS)
        return None
    return target


def finish_check(
    target: Target,
    *,
    is_reachable: bool,
    lines: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    due_in: float = CHECK_EVERY_SECONDS,
) -> None:
    """Write what a check saw, and of each machine when it last answered. Looking is no change of ours, so it leaves no
    audit entry."""
    now = timezone.now()
    contacts = {node["name"]: node.get("seen_at") for node in target.nodes}
    for node in nodes:
        node["seen_at"] = contacts.get(node["name"]) if node["state"] == "down" else now.isoformat()
    leases.release(
        target,
        due_in=due_in,
        is_reachable=is_reachable,
        check_lines=lines,
        nodes=nodes,
        checked_at=now,
        attempts=0,
    )


@transaction.atomic
def create_environment(*, actor: Actor, project: Project, name: str, target: Target, **fields: Any) -> Environment:
    """Add a policy with a name to a project."""
    actor.require("environment.edit", project)
    try:
        with transaction.atomic():
            row = Environment.objects.create(project=project, name=name, target=target, **fields)
    except IntegrityError as error:
        raise Invalid(
            _("There is an environment “%(name)s” already.") % {"name": name}, errors={"name": [_("Taken.")]}
        ) from error
    record(actor, "environment.created", row, after={"target": target.name, **fields})
    return row


@transaction.atomic
def edit_environment(*, actor: Actor, environment: Environment, **changes: Any) -> Environment:
    """Change a policy. Releases that wait under the old one lose what they were proposed under: see subjects."""
    actor.require("environment.edit", environment.project)
    return _edit(actor, "environment.edited", environment, changes, ENVIRONMENT_FIELDS)


@transaction.atomic
def create_endpoint(*, actor: Actor, project: Project, name: str, environment: Environment, **fields: Any) -> Endpoint:
    """Make an address at the gateway. Nothing answers there until a release is started."""
    actor.require("endpoint.create", project)
    if environment.project_id != project.pk:
        raise Invalid(_("The environment belongs to another project."))
    try:
        with transaction.atomic():
            row = Endpoint.objects.create(
                project=project, environment=environment, name=name, created_by_id=actor.user_id, **fields
            )
    except IntegrityError as error:
        raise Invalid(
            _("There is an endpoint “%(name)s” already.") % {"name": name}, errors={"name": [_("Taken.")]}
        ) from error
    record(actor, "endpoint.created", row, after={"environment": environment.name, **fields})
    return row


@transaction.atomic
def edit_endpoint(*, actor: Actor, endpoint: Endpoint, **changes: Any) -> Endpoint:
    actor.require("endpoint.edit", endpoint.project)
    return _edit(actor, "endpoint.edited", endpoint, changes, ENDPOINT_FIELDS)


@transaction.atomic
def equip() -> int:
    """Give the installation its own machine as a target, and every project without environments the usual two.

    The sweep calls this, so that a new project is ready a moment after it was made, whoever made it.
    """
    bare = list(Project.objects.filter(environments__isnull=True)[:20])
    if not bare:
        return 0
    target = Target.objects.order_by("pk").first() or _add_this_machine()
    for project in bare:
        for name, fields in USUAL.items():
            create_environment(actor=SYSTEM, project=project, name=name, target=target, **fields)
    return len(bare)


def _add_this_machine() -> Target:
    config = {"address": settings.SLIPWAY_MACHINE_ADDRESS}
    target = Target.objects.create(name=LOCAL, kind="process", config=config, due_at=Now())
    record(SYSTEM, "target.created", target, after={"kind": "process", "config": config})
    return target


USUAL: dict[str, dict[str, Any]] = {
    "staging": {"approvals_required": 1, "starts_by_itself": True},
    "production": {"approvals_required": 1, "starts_by_itself": True},
}


def _edit(actor: Actor, action: str, row: Any, changes: dict[str, Any], allowed: tuple[str, ...]) -> Any:
    """Write the allowed fields that differ, with a before and an after in the log; nothing changed, nothing written."""
    unknown = set(changes) - set(allowed)
    if unknown:
        raise Invalid(_("These cannot be changed: %(names)s.") % {"names": ", ".join(sorted(unknown))})
    before = {name: getattr(row, name) for name in changes}
    changed = {name: value for name, value in changes.items() if before[name] != value}
    if not changed:
        return row
    for name, value in changed.items():
        setattr(row, name, value)
    row.full_clean(exclude=[f.name for f in row._meta.fields if f.name not in changed])
    row.save(update_fields=[*changed, "updated_at"])
    record(actor, action, row, before={name: before[name] for name in changed}, after=changed)
    return row
