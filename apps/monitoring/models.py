import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.actors import Scoped, scoped_by
from apps.core.leases import Leased


class Window(models.Model):
    """What one deployment did in one stretch of time, as the gateway measured it. Mergeable by adding up.

    ``seconds`` is one of ``rollup.RESOLUTIONS``. ``source`` is the gateway process that measured (empty once rolled
    up), so that collecting the same window twice changes nothing. ``histogram`` is an HdrHistogram of microseconds,
    2 digits.
    """

    endpoint = models.ForeignKey("targets.Endpoint", on_delete=models.CASCADE, related_name="windows")
    deployment = models.ForeignKey(
        "deployments.Deployment", null=True, on_delete=models.CASCADE, related_name="windows"
    )
    start = models.DateTimeField()
    seconds = models.PositiveIntegerField()
    source = models.CharField(max_length=40, blank=True)
    requests = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)  # by status class: {"2xx": 12, "5xx": 1}
    errors = models.JSONField(default=dict)  # by kind: {"timeout": 1}
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)
    in_flight_max = models.PositiveIntegerField(default=0)
    histogram = models.BinaryField(default=bytes)

    objects = scoped_by("endpoint__project").as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "seconds", "start", "source"],
                condition=Q(deployment__isnull=False),
                name="monitoring_window_once",
            ),
            models.UniqueConstraint(  # answered by the gateway itself: no replica was ready
                fields=["endpoint", "seconds", "start", "source"],
                condition=Q(deployment__isnull=True),
                name="monitoring_window_once_without_deployment",
            ),
        ]
        indexes = [models.Index(fields=["seconds", "start"]), models.Index(fields=["endpoint", "seconds", "start"])]


class Sample(models.Model):
    """CPU (share of one core) and memory (bytes) of one replica at one moment."""

    replica_name = models.CharField(max_length=120)
    deployment = models.ForeignKey("deployments.Deployment", on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    cpu = models.FloatField()
    memory_bytes = models.BigIntegerField()

    objects = scoped_by("deployment__project").as_manager()

    class Meta:
        indexes = [models.Index(fields=["deployment", "at"]), models.Index(fields=["at"])]


class Channel(models.Model):
    """A way to tell people: a webhook or an e-mail address."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(_("name"), max_length=80)
    kind = models.CharField(_("kind"), max_length=20)  # a notifier's key: webhook, mail
    config = models.JSONField(default=dict)
    sealed = models.TextField(blank=True)  # secrets, sealed for this row
    is_enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="monitoring_channel_name_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"monitoring.Channel|{self.pk}|sealed"


class AlertRule(models.Model):
    """When ``metric`` over ``window_seconds`` is ``operator`` ``threshold`` for ``for_seconds``, tell the channels."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="alert_rules")
    endpoint = models.ForeignKey("targets.Endpoint", on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(_("name"), max_length=80)
    metric = models.CharField(_("metric"), max_length=30)
    operator = models.CharField(max_length=2, default=">")
    threshold = models.FloatField(_("threshold"))
    window_seconds = models.PositiveIntegerField(_("window"), default=60)
    for_seconds = models.PositiveIntegerField(_("for"), default=60)
    severity = models.CharField(_("severity"), max_length=10, default="warning")
    channels = models.ManyToManyField(Channel, blank=True, related_name="rules")
    is_enabled = models.BooleanField(_("enabled"), default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One time that a rule came true."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        FIRING = "firing", _("firing")
        ACKNOWLEDGED = "acknowledged", _("acknowledged")
        RESOLVED = "resolved", _("resolved")

    MOVES = {
        "pending": frozenset({"firing", "resolved"}),
        "firing": frozenset({"acknowledged", "resolved"}),
        "acknowledged": frozenset({"resolved"}),
    }

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    value = models.FloatField()  # last measured
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(_("note"), blank=True)
    calm_since = models.DateTimeField(null=True, blank=True)  # fine again since then, but not yet for long enough
    resolved_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped_by("rule__project").as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule"], condition=~Q(state="resolved"), name="monitoring_one_open_alert_per_rule"
            )
        ]
        indexes = [models.Index(fields=["state", "-id"])]

    def __str__(self) -> str:
        return self.rule.name

    @property
    def project(self) -> models.Model:
        return self.rule.project


class Delivery(Leased):
    """One notice on its way to one channel: tried until it arrives or has been tried enough."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    MOVES = {"queued": frozenset({"sent", "failed"})}

    key = models.UUIDField(default=uuid.uuid4, unique=True)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, null=True, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=30)
    notice = models.JSONField()  # worker.specs.Notice as JSON
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True)
    failure = models.JSONField(null=True, blank=True)  # Message of the last try
    tries = models.JSONField(default=list, blank=True)  # [{at, seconds, status, answer, failure}], oldest first
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("channel__project").as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.event} → {self.channel}"

    @property
    def project(self) -> models.Model:
        return self.channel.project
