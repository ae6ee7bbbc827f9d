"""What the API shows of the library and what it takes; fields are listed one by one, never "all"."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.messages import say
from apps.library.models import Check, MLModel, ModelVersion, VersionFile


class Latest(serializers.Serializer):
    """The newest version of a model, in short."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)
    framework = serializers.CharField()
    created_at = serializers.DateTimeField()


class ModelOut(serializers.ModelSerializer):
    owner = serializers.CharField(source="created_by.email", read_only=True)
    latest = serializers.SerializerMethodField()

    class Meta:
        model = MLModel
        fields = ["name", "description", "task", "tags", "owner", "latest", "created_at", "updated_at"]

    @extend_schema_field(Latest(allow_null=True))
    def get_latest(self, model: MLModel) -> dict[str, Any] | None:
        """Written out: a serializer a row would cost more than the rest of the list."""
        if not getattr(model, "latest_number", None):
            return None
        return {
            "number": model.latest_number,  # type: ignore[attr-defined]
            "state": model.latest_state,  # type: ignore[attr-defined]
            "framework": model.latest_framework,  # type: ignore[attr-defined]
            "created_at": model.latest_at,  # type: ignore[attr-defined]
        }


class ModelIn(serializers.Serializer):
    name = serializers.CharField(max_length=64)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    task = serializers.CharField(max_length=60, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20, required=False)


class ModelEdit(serializers.Serializer):
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    task = serializers.CharField(max_length=60, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20, required=False)


class CheckOut(serializers.ModelSerializer):
    """One line of evidence; the sentences are in the caller's language."""

    check = serializers.CharField(source="key", read_only=True)
    summary = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    advice = serializers.SerializerMethodField()

    class Meta:
        model = Check
        fields = ["check", "state", "summary", "reason", "advice", "details", "seconds"]

    def get_summary(self, check: Check) -> str:
        return say(check.summary)

    def get_reason(self, check: Check) -> str:
        return say(check.reason)

    def get_advice(self, check: Check) -> str:
        return say(check.advice)


class FileOut(serializers.ModelSerializer):
    sha256 = serializers.CharField(source="artifact_id", read_only=True)
    size = serializers.IntegerField(source="artifact.size", read_only=True)

    class Meta:
        model = VersionFile
        fields = ["name", "size", "sha256", "role", "is_served"]


class VersionShort(serializers.ModelSerializer):
    """A version as a list shows it."""

    model = serializers.CharField(source="model.name", read_only=True)
    version = serializers.IntegerField(source="number", read_only=True)
    uploaded_by = serializers.CharField(source="uploaded_by.email", read_only=True)

    class Meta:
        model = ModelVersion
        fields = [
            "model",
            "version",
            "state",
            "digest",
            "size",
            "framework",
            "framework_version",
            "description",
            "labels",
            "uploaded_by",
            "created_at",
            "examined_at",
        ]


class VersionOut(VersionShort):
    """A version with all that its examination found out."""

    parent = serializers.SerializerMethodField()  # type: ignore[assignment]
    checks = CheckOut(many=True, read_only=True)
    files = FileOut(many=True, read_only=True)

    class Meta(VersionShort.Meta):
        fields = [
            *VersionShort.Meta.fields,
            "parent",
            "card",
            "format",
            "tier",
            "signature",
            "served_format",
            "requirements",
            "class_labels",
            "golden",
            "profile",
            "parity",
            "checks",
            "files",
        ]

    def get_parent(self, version: ModelVersion) -> str | None:
        return f"{version.parent.model.name}/{version.parent.number}" if version.parent else None


class VersionIn(serializers.Serializer):
    """A new version out of finished uploads. A multipart form with one or more ``file`` parts does for small files."""

    upload = serializers.UUIDField(required=False)
    uploads = serializers.ListField(child=serializers.UUIDField(), max_length=1000, required=False)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    card = serializers.CharField(max_length=1 << 20, required=False, allow_blank=True)
    labels = serializers.DictField(child=serializers.CharField(max_length=255, allow_blank=True), required=False)
    example = serializers.JSONField(required=False, help_text='An inference request: `{"inputs": [...]}`.')
    parent = serializers.CharField(  # type: ignore[assignment]
        required=False, help_text="What it was made from: a version's number, or `model/number` in this project."
    )


class VersionForm(VersionIn):
    """The same as a multipart form; ``labels`` and ``example`` are JSON texts then."""

    file = serializers.ListField(child=serializers.FileField(), required=False)
    labels = serializers.JSONField(required=False)  # type: ignore[assignment]


class RetirementIn(serializers.Serializer):
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")
