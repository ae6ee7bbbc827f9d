from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.actors import Scoped
from apps.core.leases import Leased

# Kinds of target whose driver keeps every replica behind a sandbox: only there a model may run by an exception.
WALLED_KINDS = frozenset({"process", "docker"})
# Kinds whose driver brings replicas from one machine to another.
DRAINING_KINDS = frozenset({"docker", "swarm"})
# Kinds whose driver can set GPUs aside for one replica.
GPU_KINDS = frozenset({"docker", "swarm"})


class Target(Leased):
    """Somewhere models can run: this machine, a GPU host, a cluster, a cloud account. Of the whole installation."""

    name = models.SlugField(_("name"), max_length=40, unique=True)
    kind = models.CharField(_("kind"), max_length=30)  # a driver's key: process, docker, swarm …
    config = models.JSONField(default=dict, blank=True)
    sealed = models.TextField(blank=True)  # credentials, JSON, sealed for this row; write-only
    draining = models.JSONField(default=list, blank=True)  # names of nodes that get nothing new
    is_enabled = models.BooleanField(_("enabled"), default=True)
    is_reachable = models.BooleanField(null=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_lines = models.JSONField(default=list, blank=True)  # [{name, ok, detail: Message}]
    nodes = models.JSONField(default=list, blank=True)  # worker.specs.Node as JSON
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"targets.Target|{self.pk}|secrets"


class Trial(Leased):
    """Settings of a target that somebody has looked at before they are saved; forgotten within the hour."""

    kind = models.CharField(max_length=30)
    config = models.JSONField(default=dict)
    sealed = models.TextField(blank=True)  # credentials, until it was looked at
    lines = models.JSONField(default=list, blank=True)  # [{name, ok, detail: Message}]
    done_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"#{self.pk} {self.kind}"

    @property
    def seal_place(self) -> str:
        return f"targets.Trial|{self.pk}|secrets"


class Environment(models.Model):
    """A policy with a name: how many approvals a release needs here, and whether it starts by itself."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="environments")
    name = models.SlugField(_("name"), max_length=40)
    description = models.CharField(_("description"), max_length=200, blank=True)
    approvals_required = models.PositiveSmallIntegerField(
        _("approvals needed"), default=1, validators=[MaxValueValidator(5)]
    )
    starts_by_itself = models.BooleanField(_("start as soon as it is approved and built"), default=True)
    approval_days = models.PositiveSmallIntegerField(
        _("days until a waiting or approved release expires"), default=30, validators=[MinValueValidator(1)]
    )
    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="environments")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="targets_environment_name_once")]

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    """An address at the gateway, ``/{project}/{endpoint}``, in an environment."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="endpoints")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="endpoints")
    name = models.SlugField(_("name"), max_length=64)
    description = models.CharField(_("description"), max_length=200, blank=True)
    max_body_bytes = models.BigIntegerField(_("largest request"), default=10 << 20)
    timeout_seconds = models.FloatField(_("time limit"), default=60.0)
    is_idempotent = models.BooleanField(_("a call may be sent again to another replica"), default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="targets_endpoint_name_once")]

    def __str__(self) -> str:
        return self.name
