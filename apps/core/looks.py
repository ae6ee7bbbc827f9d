"""How a state looks, everywhere: one word, one tone and one icon for each. Tones are CSS classes ``tone-…``.

ok: as it should be · busy: work in progress · wait: somebody's turn · warn: look soon · bad: look now · off: at rest.
"""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Look(NamedTuple):
    word: str | Promise
    tone: str
    icon: str  # of Lucide


LOOKS = {
    # versions
    "uploaded": Look(_("uploaded"), "wait", "circle-arrow-up"),
    "examining": Look(_("examining"), "busy", "loader-circle"),
    "ready": Look(_("ready"), "ok", "circle-check"),
    "refused": Look(_("refused"), "bad", "ban"),
    "retired": Look(_("retired"), "off", "archive"),
    # checks
    "waiting": Look(_("waiting"), "off", "circle-dashed"),
    "passed": Look(_("passed"), "ok", "circle-check"),
    "warned": Look(_("warning"), "warn", "triangle-alert"),
    "skipped": Look(_("skipped"), "off", "circle-minus"),
    # uploads
    "receiving": Look(_("receiving"), "busy", "loader-circle"),
    "complete": Look(_("complete"), "ok", "circle-check"),
    "used": Look(_("used"), "off", "circle-check"),
    "cancelled": Look(_("cancelled"), "off", "circle-slash"),
    # releases and reviews
    "in_review": Look(_("in review"), "wait", "hourglass"),
    "approved": Look(_("approved"), "ok", "badge-check"),
    "approve": Look(_("approved"), "ok", "badge-check"),
    "rejected": Look(_("rejected"), "bad", "circle-x"),
    "reject": Look(_("rejected"), "bad", "circle-x"),
    "withdrawn": Look(_("withdrawn"), "off", "undo-2"),
    "expired": Look(_("expired"), "off", "clock"),
    "superseded": Look(_("superseded"), "off", "history"),
    # exceptions
    "asked": Look(_("asked for"), "wait", "hourglass"),
    "granted": Look(_("granted"), "warn", "shield-alert"),
    # builds, steps, deliveries
    "queued": Look(_("queued"), "wait", "clock"),
    "done": Look(_("done"), "ok", "circle-check"),
    "sent": Look(_("sent"), "ok", "circle-check"),
    "failed": Look(_("failed"), "bad", "circle-x"),
    # deployments, replicas, endpoints
    "pending": Look(_("pending"), "wait", "clock"),
    "starting": Look(_("starting"), "busy", "loader-circle"),
    "running": Look(_("running"), "ok", "activity"),
    "serving": Look(_("serving"), "ok", "activity"),
    "degraded": Look(_("degraded"), "warn", "triangle-alert"),
    "stopping": Look(_("stopping"), "busy", "loader-circle"),
    "draining": Look(_("draining"), "busy", "loader-circle"),
    "stopped": Look(_("stopped"), "off", "circle-stop"),
    "exited": Look(_("exited"), "bad", "circle-stop"),
    "down": Look(_("down"), "bad", "circle-x"),
    "idle": Look(_("idle"), "off", "circle-dashed"),
    "empty": Look(_("nothing deployed"), "off", "circle-dashed"),
    # targets
    "reachable": Look(_("reachable"), "ok", "plug"),
    "unreachable": Look(_("unreachable"), "bad", "unplug"),
    "unchecked": Look(_("not checked yet"), "off", "circle-dashed"),
    "disabled": Look(_("disabled"), "off", "circle-slash"),
    "enabled": Look(_("enabled"), "ok", "circle-check"),
    # alerts and their severities
    "firing": Look(_("firing"), "bad", "bell-ring"),
    "acknowledged": Look(_("acknowledged"), "warn", "eye"),
    "resolved": Look(_("resolved"), "ok", "circle-check"),
    "info": Look(_("info"), "busy", "info"),
    "warning": Look(_("warning"), "warn", "triangle-alert"),
    "critical": Look(_("critical"), "bad", "octagon-alert"),
    # people and keys
    "active": Look(_("active"), "ok", "circle-check"),
    "invited": Look(_("invited"), "wait", "mail"),
    "expiring": Look(_("expires soon"), "warn", "clock"),
    "revoked": Look(_("revoked"), "bad", "ban"),
}

# Work that runs is not a thing that runs: a check or a build under way, told apart by the kind.
WORK = {"running": Look(_("running"), "busy", "loader-circle")}


def look_of(state: str, kind: str = "") -> Look:
    """The look of a state; ``kind="work"`` for checks, builds and steps. An unknown word is shown as it is, at rest."""
    known = WORK.get(state) if kind == "work" else None
    return known or LOOKS.get(state) or Look(state.replace("_", " "), "off", "circle")
