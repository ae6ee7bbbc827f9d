from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.actors import Scoped, scoped_by
from apps.core.leases import Leased
from apps.deployments.credentials import place_of


class Deployment(Leased):
    """One release running (or meant to run) at its endpoint.

    People write what is *desired* (``is_wanted``, ``replicas``, and ``generation`` with every change); only the
    reconciler writes what is *observed* (``phase``, ``observed_generation``, ``conditions``, the failure).
    """

    class Phase(models.TextChoices):
        PENDING = "pending", _("pending")
        STARTING = "starting", _("starting")
        RUNNING = "running", _("running")
        DEGRADED = "degraded", _("degraded")
        STOPPING = "stopping", _("stopping")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="deployments")
    endpoint = models.ForeignKey("targets.Endpoint", on_delete=models.PROTECT, related_name="deployments")
    release = models.ForeignKey("releases.Release", on_delete=models.PROTECT, related_name="deployments")
    build = models.ForeignKey("releases.Build", on_delete=models.PROTECT, related_name="deployments")
    target = models.ForeignKey("targets.Target", on_delete=models.PROTECT, related_name="deployments")
    cause = models.CharField(max_length=20, default="release")  # release, rollback
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    is_wanted = models.BooleanField(default=True)
    replicas = models.PositiveSmallIntegerField(default=1)
    generation = models.PositiveIntegerField(default=1)

    phase = models.CharField(max_length=10, choices=Phase, default=Phase.PENDING)
    observed_generation = models.PositiveIntegerField(default=0)
    conditions = models.JSONField(default=dict, blank=True)
    failure_kind = models.CharField(max_length=40, blank=True)
    failure = models.JSONField(null=True, blank=True)  # Message
    failure_log = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    live_at = models.DateTimeField(null=True, blank=True)  # first took traffic
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["endpoint", "-id"]), models.Index(fields=["project", "-created_at"])]
        constraints = [
            models.CheckConstraint(condition=Q(replicas__gte=1, replicas__lte=64), name="deployments_replicas_1_to_64")
        ]

    def __str__(self) -> str:
        return f"deployment {self.pk} of {self.release}"


class Replica(models.Model):
    """One running copy, as last observed. ``name`` is its identity on the target."""

    class State(models.TextChoices):
        STARTING = "starting", _("starting")
        RUNNING = "running", _("running")  # healthy for min_healthy_time: may be routed to
        DRAINING = "draining", _("draining")
        EXITED = "exited", _("exited")

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="replica_set")
    index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=120, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.STARTING)
    address = models.CharField(max_length=120, blank=True)  # host:port
    node = models.CharField(max_length=120, blank=True)  # the machine it is on, where the target has several
    moved_at = models.DateTimeField(null=True, blank=True)  # to that machine, from one that drained
    sealed = models.TextField(blank=True)  # the secret the gateway must show, sealed for this row
    restarts = models.PositiveIntegerField(default=0)
    healthy_since = models.DateTimeField(null=True, blank=True)
    unready_since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    failure_kind = models.CharField(max_length=40, blank=True)
    failure = models.JSONField(null=True, blank=True)
    failure_log = models.TextField(blank=True)
    log = models.TextField(blank=True)  # its newest lines, as last fetched from the target

    objects = scoped_by("deployment__project").as_manager()

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["deployment", "index"], name="deployments_replica_index_once")]

    @property
    def seal_place(self) -> str:
        return place_of(self.name)


class Route(models.Model):
    """A deployment's share of its endpoint's traffic, in percent."""

    endpoint = models.ForeignKey("targets.Endpoint", on_delete=models.CASCADE, related_name="routes")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="routes")
    weight = models.PositiveSmallIntegerField()

    objects = scoped_by("endpoint__project").as_manager()

    class Meta:
        ordering = ["-weight", "-deployment_id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "deployment"], name="deployments_route_once"),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=100), name="deployments_weight_0_to_100"),
        ]


class Step(models.Model):
    """One timed line of a deployment's timeline: verify, create, start, healthy, route, drain, remove …"""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=30)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    detail = models.JSONField(null=True, blank=True)  # Message
    log = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("deployment__project").as_manager()

    class Meta:
        ordering = ["started_at", "id"]
