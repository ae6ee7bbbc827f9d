import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.actors import Scoped, scoped_by
from apps.core.leases import Leased


class Artifact(models.Model):
    """Stored bytes, named by their sha256. Files share artifacts; an artifact never changes."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(default=timezone.now)  # when somebody last brought these bytes

    def __str__(self) -> str:
        return self.sha256


class Upload(models.Model):
    """A resumable transfer (tus 1.0). Its bytes become visible only when all have arrived and their digest is known."""

    class State(models.TextChoices):
        RECEIVING = "receiving", _("receiving")
        COMPLETE = "complete", _("complete")
        USED = "used", _("used")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "receiving": frozenset({"complete", "expired", "cancelled"}),
        "complete": frozenset({"used", "expired", "cancelled"}),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    declared_sha256 = models.CharField(max_length=64, blank=True)  # what the sender says the bytes are, if it does
    offset = models.BigIntegerField(default=0)  # bytes that are safe on our disk
    state = models.CharField(max_length=12, choices=State, default=State.RECEIVING)
    artifact = models.ForeignKey(Artifact, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField()

    objects = Scoped.as_manager()

    class Meta:
        indexes = [models.Index(fields=["state", "expires_at"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(offset__gte=0, offset__lte=models.F("size")), name="library_upload_offset_in_size"
            )
        ]

    def __str__(self) -> str:
        return self.name


class MLModel(models.Model):
    """A named line of versions. (The class is MLModel only because Django owns ``Model``.)"""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="models")
    name = models.SlugField(_("name"), max_length=64)
    description = models.TextField(_("description"), blank=True)
    task = models.CharField(_("task"), max_length=60, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    last_number = models.PositiveIntegerField(default=0)  # of deleted versions: no number is given twice
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="library_model_name_once")]

    def __str__(self) -> str:
        return self.name


class ModelVersion(Leased):
    """One immutable upload of a model, and what the examination found out about it."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", _("uploaded")
        EXAMINING = "examining", _("examining")
        READY = "ready", _("ready")
        REFUSED = "refused", _("refused")
        RETIRED = "retired", _("retired")

    MOVES = {
        "uploaded": frozenset({"examining"}),
        "examining": frozenset({"examining", "ready", "refused"}),
        "ready": frozenset({"retired"}),
        "refused": frozenset({"retired", "uploaded"}),  # uploaded again: once an exception was granted
        "retired": frozenset({"ready"}),
    }

    model = models.ForeignKey(MLModel, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.UPLOADED)
    digest = models.CharField(max_length=64)  # sha256 of the sorted manifest of uploaded files
    size = models.BigIntegerField(default=0)  # bytes of the uploaded files
    description = models.TextField(_("description"), blank=True)
    card = models.TextField(_("model card"), blank=True)
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    example = models.JSONField(null=True, blank=True)  # the uploader's example request
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey("accounts.ApiKey", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # What the examination found (worker.specs.Verdict)
    format = models.CharField(max_length=20, blank=True)
    framework = models.CharField(max_length=40, blank=True)
    framework_version = models.CharField(max_length=40, blank=True)
    tier = models.PositiveSmallIntegerField(null=True, blank=True)
    signature = models.JSONField(null=True, blank=True)
    served_format = models.CharField(max_length=20, blank=True)
    requirements = models.JSONField(default=list, blank=True)
    trusted = models.JSONField(default=list, blank=True)
    class_labels = models.JSONField(default=list, blank=True)
    golden = models.JSONField(default=dict, blank=True)
    profile = models.JSONField(default=dict, blank=True)
    parity = models.JSONField(default=dict, blank=True)
    examined_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("model__project").as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="library_version_number_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["uploaded", "examining", "ready", "refused", "retired"]),
                name="library_version_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    @property
    def project(self):  # type: ignore[no-untyped-def]
        return self.model.project


class CardRevision(models.Model):
    """A version's card as it was saved once. What was uploaded becomes the first when the card is first edited."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="card_revisions")
    number = models.PositiveIntegerField()
    card = models.TextField(blank=True)
    was_uploaded = models.BooleanField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["version", "number"], name="library_card_revision_once")]

    def __str__(self) -> str:
        return f"{self.version} #{self.number}"


class VersionFile(models.Model):
    """A file of a version under its relative name; ``served`` is the one that will run."""

    class Role(models.TextChoices):
        SOURCE = "source", _("uploaded")
        CONVERTED = "converted", _("converted")

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="files")
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="files")
    name = models.CharField(max_length=255)
    role = models.CharField(max_length=10, choices=Role, default=Role.SOURCE)
    is_served = models.BooleanField(default=False)

    class Meta:
        ordering = ["role", "name"]
        constraints = [
            models.UniqueConstraint(fields=["version", "name", "role"], name="library_file_name_once"),
            models.UniqueConstraint(
                fields=["version"], condition=models.Q(is_served=True), name="library_one_served_file"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Check(models.Model):
    """One line of evidence: what was looked at, what came out, and how long it took (seconds)."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        PASSED = "passed", _("passed")
        WARNED = "warned", _("warned")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="checks")
    key = models.CharField(max_length=20)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    summary = models.JSONField(default=dict)  # Message as JSON, like reason and advice
    reason = models.JSONField(null=True)
    advice = models.JSONField(null=True)
    details = models.JSONField(default=dict)
    seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="library_check_once")]

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"


class SafetyException(models.Model):
    """The wish to open one refused pickle all the same, for exactly the names it uses beyond the allow-list.

    Bound by ``subject`` to the digest of the version's files and to the names. It is granted by two approvals of
    different people, one of them an administrator, none of them the uploader or who asked; the last grants it, and
    the version is examined again. Triggers hold all of this in the database (migration 0006).
    """

    class State(models.TextChoices):
        ASKED = "asked", _("asked for")
        GRANTED = "granted", _("granted")
        REJECTED = "rejected", _("rejected")
        REVOKED = "revoked", _("revoked")

    MOVES = {"asked": frozenset({"granted", "rejected"}), "granted": frozenset({"revoked"})}

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="exceptions")
    digest = models.CharField(max_length=64)  # of the version's files
    names = models.JSONField()  # sorted module:name, as the safety check listed them
    subject = models.CharField(max_length=64)  # sha256 over digest and names: what people approve
    reason = models.TextField(_("why it is needed"))
    state = models.CharField(max_length=8, choices=State, default=State.ASKED)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    objects = scoped_by("version__model__project").as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state"])]
        constraints = [
            models.UniqueConstraint(
                fields=["version"],
                condition=models.Q(state__in=["asked", "granted"]),
                name="library_one_open_exception",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["asked", "granted", "rejected", "revoked"]),
                name="library_exception_state",
            ),
        ]

    def __str__(self) -> str:
        return f"exception #{self.pk} for {self.version}"

    @property
    def project(self):  # type: ignore[no-untyped-def]
        return self.version.project


class ExceptionReview(models.Model):
    """One person's word on an exception. There is no column for a key: keys decide on nothing."""

    class Decision(models.TextChoices):
        APPROVE = "approve", _("approved")
        REJECT = "reject", _("rejected")

    exception = models.ForeignKey(SafetyException, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    is_administrator = models.BooleanField()  # of the project, when they decided
    decision = models.CharField(max_length=8, choices=Decision)
    subject = models.CharField(max_length=64)
    note = models.TextField(_("comment"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("exception__version__model__project").as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["exception", "reviewer"], name="library_one_exception_review_per_person"),
            models.CheckConstraint(
                condition=models.Q(decision__in=["approve", "reject"]), name="library_exception_decision"
            ),
        ]
