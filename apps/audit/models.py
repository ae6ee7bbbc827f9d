from django.db import models

from apps.core.actors import Scoped


class Entry(models.Model):
    """One thing that somebody did, chained to the one before. Never updated, never deleted: triggers see to it.

    ``before`` and ``after`` are JSON text kept verbatim, since the hash covers the text. People and things are copied
    by label, so that an entry survives what it speaks of. ``hash`` = sha256(0x00 ‖ previous ‖ fields, length-prefixed).
    """

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.BigIntegerField()
    actor_label = models.CharField(max_length=200)
    ip = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True, db_index=True)
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=300)
    project = models.ForeignKey(
        "accounts.Project", null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    before = models.TextField(blank=True)
    after = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    objects = Scoped.as_manager()

    class Meta:
        ordering = ["-seq"]
        indexes = [
            models.Index(fields=["project", "-seq"]),
            models.Index(fields=["project", "action", "-seq"]),
            models.Index(fields=["object_type", "object_id", "-seq"]),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object_label}"


class Head(models.Model):
    """The end of the chain: one row, locked by whoever appends, so that numbers have no gaps."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_one_head")]
