from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.actors import Scoped, scoped_by
from apps.core.leases import Leased


class Release(models.Model):
    """A proposal to run one version at one endpoint, and what became of it. ``subject`` is what people approve."""

    class State(models.TextChoices):
        IN_REVIEW = "in_review", _("in review")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")
        SUPERSEDED = "superseded", _("superseded")

    MOVES = {
        "in_review": frozenset({"approved", "rejected", "withdrawn", "expired", "superseded"}),
        "approved": frozenset({"withdrawn", "expired", "superseded"}),
        "superseded": frozenset({"approved", "withdrawn"}),  # approved again by rolling back to it
    }

    STARTABLE = ("approved", "superseded")  # the latter by rolling back only

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="releases")
    version = models.ForeignKey("library.ModelVersion", on_delete=models.PROTECT, related_name="releases")
    endpoint = models.ForeignKey("targets.Endpoint", on_delete=models.PROTECT, related_name="releases")
    target = models.ForeignKey("targets.Target", on_delete=models.PROTECT, related_name="releases")
    replicas = models.PositiveSmallIntegerField(_("replicas"), default=1)
    options = models.JSONField(default=dict, blank=True)  # memory_mb, cpus, gpus, canary, batch_…
    note = models.TextField(_("note"), blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.IN_REVIEW)
    subject = models.CharField(max_length=64)  # sha256 over everything that decides what runs; see subjects.py
    approvals_required = models.PositiveSmallIntegerField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey("accounts.ApiKey", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "state", "-id"])]
        constraints = [
            models.CheckConstraint(condition=Q(replicas__gte=1, replicas__lte=64), name="releases_replicas_1_to_64"),
            models.CheckConstraint(
                condition=Q(state__in=["in_review", "approved", "rejected", "withdrawn", "expired", "superseded"]),
                name="releases_state",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.version} → {self.endpoint}"

    @property
    def memory_mb(self) -> int:
        return int(self.options.get("memory_mb", 2048))

    @property
    def cpus(self) -> float:
        return float(self.options.get("cpus", 1))

    @property
    def gpus(self) -> int:
        """How many each replica has to itself."""
        return int(self.options.get("gpus", 0))

    @property
    def is_canary(self) -> bool:
        """Whether it is to run beside what serves, and has no traffic before an operator gives it a share."""
        return bool(self.options.get("canary"))


class Review(models.Model):
    """One person's decision on the exact subject they were shown. There is no column for a key: keys can't review.

    Triggers refuse a review by the author of the version or of the proposal, or of another subject (migration 0003).
    """

    class Decision(models.TextChoices):
        APPROVE = "approve", _("approved")
        REJECT = "reject", _("rejected")

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=8, choices=Decision)
    subject = models.CharField(max_length=64)
    note = models.TextField(_("comment"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("release__project").as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["release", "reviewer"], name="releases_one_review_per_person"),
            models.CheckConstraint(condition=Q(decision__in=["approve", "reject"]), name="releases_review_decision"),
        ]


class Comment(models.Model):
    """A question about a release that waits, or the answer to one."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("comment"))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("release__project").as_manager()

    class Meta:
        ordering = ["id"]


class Build(Leased):
    """One attempt to make what will run. A retry is a new build; history is never rewritten."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")  # nobody wants the release any more

    MOVES = {
        "queued": frozenset({"running", "skipped"}),
        "running": frozenset({"running", "done", "failed", "skipped"}),
    }

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="builds")
    builder = models.CharField(max_length=30, default="environment")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    digest = models.CharField(max_length=80, blank=True)
    location = models.CharField(max_length=500, blank=True)
    environment = models.CharField(max_length=500, blank=True)
    lock_digest = models.CharField(max_length=64, blank=True)
    steps = models.JSONField(default=list, blank=True)  # [{name, seconds, detail}]
    # Of an image: sbom (CycloneDX), provenance (DSSE). Null, since SQLite remakes the table for a default, and triggers
    # elsewhere name it.
    attachments = models.JSONField(null=True, blank=True)
    failure_kind = models.CharField(max_length=40, blank=True)
    failure = models.JSONField(null=True, blank=True)  # Message
    log = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("release__project").as_manager()

    class Meta:
        ordering = ["-id"]
