"""How much room a project has. Bytes are reserved when an upload begins, so that nobody is refused at its end."""

import shutil

from django.conf import settings
from django.db.models import Sum
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.core.errors import Invalid, NoRoom, TooLarge
from apps.library.models import Artifact, Upload
from apps.library.store import get_store

_HOLDING = (Upload.State.RECEIVING, Upload.State.COMPLETE)


def used_bytes(project: Project) -> int:
    """What the project's versions take (a file that stands twice counts once) and what its uploads have reserved."""
    kept = Artifact.objects.filter(files__version__model__project=project).distinct().aggregate(total=Sum("size"))
    reserved = Upload.objects.filter(project=project, state__in=_HOLDING).aggregate(total=Sum("size"))
    return (kept["total"] or 0) + (reserved["total"] or 0)


def max_bytes() -> int:
    """The most that one file may have in this installation."""
    return int(settings.SLIPWAY_UPLOAD_MAX_BYTES)


def require_size(size: int) -> None:
    """Refuse what is empty or larger than this installation takes in one file."""
    if size <= 0:
        raise Invalid(_("The file is empty."), advice=_("Choose the file that holds the model."))
    if size > max_bytes():
        raise TooLarge(
            _("The file has %(size)s; one file may have at most %(limit)s here.")
            % {"size": filesizeformat(size), "limit": filesizeformat(max_bytes())},
            advice=_("Make it smaller, or ask an administrator to raise SLIPWAY_UPLOAD_MAX_BYTES."),
        )


def require_room(project: Project, size: int) -> None:
    """Refuse what the project's quota does not hold. Exact inside a transaction: the project's row is locked."""
    quota = Project.objects.select_for_update(no_key=True).values_list("quota_bytes", flat=True).get(pk=project.pk)
    free = max(quota - used_bytes(project), 0)
    if size > free:
        raise Invalid(
            _("The file has %(size)s, but project “%(project)s” has only %(free)s of its %(quota)s left.")
            % {
                "size": filesizeformat(size),
                "project": project.name,
                "free": filesizeformat(free),
                "quota": filesizeformat(quota),
            },
            advice=_(
                "Cancel uploads you no longer need, or ask an administrator of this installation for a larger quota."
            ),
        )


def require_form(project: Project, size: int) -> None:
    """Refuse a form by its announced size, before it is read; its files are measured again as they are stored."""
    around = settings.SLIPWAY_BODY_MAX_BYTES  # what may stand around the files
    if size <= around:
        return
    limit = min(max_bytes(), free_bytes(project))
    if size - around > limit:
        raise TooLarge(
            _("This form has %(size)s, but project “%(project)s” takes at most %(limit)s in one now.")
            % {"size": filesizeformat(size), "project": project.name, "limit": filesizeformat(limit)},
            advice=_("Make it smaller, or ask an administrator for a larger quota or SLIPWAY_UPLOAD_MAX_BYTES."),
        )
    require_disk(size)


def free_bytes(project: Project) -> int:
    """How much room the project has left."""
    return max(project.quota_bytes - used_bytes(project), 0)


def require_disk(size: int) -> None:
    """Refuse what this machine's disk has no room for beside what other uploads will still bring."""
    store = get_store()
    coming = Upload.objects.filter(state=Upload.State.RECEIVING).values_list("size", "offset")
    promised = sum(min(whole - offset, store.disk_bytes(whole)) for whole, offset in coming)
    free = max(shutil.disk_usage(settings.SLIPWAY_HOME).free - promised, 0)
    if store.disk_bytes(size) > free:
        raise NoRoom(
            _("The file has %(size)s, but the server's disk has only %(free)s left.")
            % {"size": filesizeformat(size), "free": filesizeformat(free)},
            advice=_("Ask an administrator to make room, then try again."),
        )
