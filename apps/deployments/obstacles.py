"""Why something that a person may do cannot be done now: a service raises it, and a page says it beside the button."""

from collections.abc import Collection

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import StateConflict
from apps.deployments.models import Step
from apps.releases.models import Build, Release
from apps.releases.selectors import current_subject


def to_starting(release: Release, states: Collection[str] = (Release.State.APPROVED,)) -> StateConflict | None:
    """What keeps a release from being started; None when nothing does."""
    if release.state not in states:
        return StateConflict(
            _("Release #%(pk)s is %(state)s; only an approved release can run.")
            % {"pk": release.pk, "state": release.get_state_display()}
        )
    if has_lapsed(release):
        return StateConflict(
            _("The approval of release #%(pk)s has expired; it was never started.") % {"pk": release.pk},
            advice=_("Propose the version again."),
        )
    if not release.target.is_enabled:
        return StateConflict(
            _("The target “%(name)s” is disabled; nothing is started there.") % {"name": release.target.name},
            advice=_("An administrator can enable it again; or propose the version for another target."),
        )
    if current_subject(release) != release.subject:
        return StateConflict(
            _("Something that release #%(pk)s is made of has changed since it was approved.") % {"pk": release.pk},
            advice=_("Propose the version again."),
        )
    if not release.builds.filter(state=Build.State.DONE).exists():
        return StateConflict(_("Release #%(pk)s is not built yet.") % {"pk": release.pk})
    return None


def has_lapsed(release: Release) -> bool:
    """Whether an approval is too old for a first start. What has served once may run again: that is rolling back."""
    if release.expires_at > timezone.now():
        return False
    return not Step.objects.filter(deployment__release=release, name="route", state=Step.State.DONE).exists()
