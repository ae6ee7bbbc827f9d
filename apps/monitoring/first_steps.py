"""How far a new project has come on its way to the first call: what its overview leads through."""

from dataclasses import dataclass

from apps.accounts.models import ApiKey, Project
from apps.core.keys import LIVE
from apps.deployments.models import Deployment
from apps.library.models import ModelVersion
from apps.releases.models import Release
from apps.releases.selectors import approvers, missing_approvals

UPLOAD, PROPOSE, START, CALL = 1, 2, 3, 4
OPEN = (Release.State.IN_REVIEW, Release.State.APPROVED)


@dataclass(frozen=True)
class FirstSteps:
    """The rows that the way has brought so far, and which step comes next."""

    version: ModelVersion | None
    release: Release | None
    is_live: bool
    has_key: bool
    is_stuck: bool  # the release waits for an approval that nobody of this project can give

    @property
    def current(self) -> int:
        if self.version is None:
            return UPLOAD
        if self.release is None:
            return PROPOSE
        return CALL if self.is_live else START


def first_steps(project: Project) -> FirstSteps | None:
    """None once a key of the project has been used: from then on the way is known."""
    keys = ApiKey.objects.filter(project=project, prefix=LIVE)
    if keys.filter(last_used_at__isnull=False).exists():
        return None
    release = _newest_release(project)
    version = release.version if release else _newest_version(project)
    is_waiting = release is not None and release.state == Release.State.IN_REVIEW
    return FirstSteps(
        version=version,
        release=release,
        is_live=Deployment.objects.filter(release=release, live_at__isnull=False).exists() if release else False,
        has_key=keys.filter(revoked_at__isnull=True).exists(),
        is_stuck=bool(release and is_waiting and approvers(release).count() < missing_approvals(release)),
    )


def _newest_release(project: Project) -> Release | None:
    rows = Release.objects.filter(project=project, state__in=OPEN)
    return rows.select_related("version__model", "endpoint__environment").order_by("-pk").first()


def _newest_version(project: Project) -> ModelVersion | None:
    rows = ModelVersion.objects.filter(model__project=project).exclude(state=ModelVersion.State.RETIRED)
    return rows.select_related("model").order_by("-pk").first()
