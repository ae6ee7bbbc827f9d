from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.roles import ROLES
from apps.core.actors import Scoped, scoped_by

EXPIRES_SOON = timedelta(days=14)
UNUSED = timedelta(days=90)  # after which a key is disabled


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email__iexact=email)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. ``is_superuser`` administers the installation: every project, targets and people."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=120)
    language = models.CharField(_("language"), max_length=10, blank=True)
    theme = models.CharField(_("theme"), max_length=10, default="system")
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    last_seen = models.DateTimeField(null=True, blank=True)

    objects = UserManager()

    EMAIL_FIELD = USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        return self.is_superuser

    def get_full_name(self) -> str:
        return self.name


class Project(models.Model):
    """A team's room: models, endpoints, people and keys. The slug is the first part of every gateway address."""

    slug = models.SlugField(_("address"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=80)
    description = models.TextField(_("description"), blank=True)
    quota_bytes = models.BigIntegerField(_("storage quota"), default=50 << 30)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("pk").as_manager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person's role in one project; what a role may do stands in ``roles.py``."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Scoped.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="accounts_one_role_per_project")]

    @property
    def role_name(self) -> str:
        return str(ROLES.get(self.role, self.role))

    def __str__(self) -> str:
        return f"{self.user} · {self.project}"


class Invitation(models.Model):
    """A one-time link for a new person (without a project: for the first administrator). Only its digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    email = models.EmailField(blank=True)
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20, blank=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    objects = Scoped.as_manager()

    def __str__(self) -> str:
        return f"{self.email} → {self.project}" if self.project_id else str(_("set-up link"))

    @property
    def role_name(self) -> str:
        return str(ROLES.get(self.role, self.role))


class ApiKey(models.Model):
    """A key for programs. The secret is shown once; what is kept is HMAC-SHA256(pepper, secret)."""

    key_id = models.CharField(max_length=8, unique=True)
    prefix = models.CharField(max_length=10)  # slw_live, slw_ci, slw_test
    last4 = models.CharField(max_length=4)
    digest = models.BinaryField(max_length=32)
    name = models.CharField(_("name"), max_length=80)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="keys")
    scopes = models.JSONField(default=list)  # invoke:<endpoint>, read, upload, propose, deploy
    rate_per_minute = models.PositiveIntegerField(_("requests per minute"), default=60_000)
    networks = models.JSONField(_("addresses"), default=list, blank=True)  # ranges it is taken from; none: everywhere
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)  # by itself, for not being used
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}_{self.key_id}_…{self.last4})"

    @property
    def endpoints(self) -> list[str]:
        """The endpoints that it may call by name; ``*`` names none."""
        names = [scope.removeprefix("invoke:") for scope in self.scopes if scope.startswith("invoke:")]
        return [name for name in names if name != "*"]

    @property
    def state(self) -> str:
        """active, expiring (within ``EXPIRES_SOON``), expired, disabled or revoked."""
        now = timezone.now()
        if self.revoked_at:
            return "revoked"
        if self.expires_at <= now:
            return "expired"
        if self.disabled_at:
            return "disabled"
        return "expiring" if self.expires_at - now < EXPIRES_SOON else "active"

    @property
    def disabled_from(self) -> datetime:
        """When it is disabled unless somebody uses it before."""
        return (self.last_used_at or self.created_at) + UNUSED
