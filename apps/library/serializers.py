"""What the API shows of the library and what it takes; fields are listed one by one, never "all".

What is shown is declared here for the schema and read by ``shapes``.
"""

from rest_framework import serializers

from apps.library import shapes
from apps.library.completeness import PARTS
from apps.library.models import Check, MLModel, ModelVersion, VersionFile


class Latest(serializers.Serializer):
    """The newest version of a model, in short."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)
    framework = serializers.CharField()
    created_at = serializers.DateTimeField()


class ModelOut(serializers.ModelSerializer):
    owner = serializers.EmailField(read_only=True)
    latest = Latest(allow_null=True, read_only=True)

    class Meta:
        model = MLModel
        fields = ["name", "description", "task", "tags", "owner", "latest", "created_at", "updated_at"]


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

    check = serializers.CharField(read_only=True)
    summary = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    advice = serializers.CharField(read_only=True)

    class Meta:
        model = Check
        fields = ["check", "state", "summary", "reason", "advice", "details", "seconds"]


class FileOut(serializers.ModelSerializer):
    sha256 = serializers.CharField(read_only=True)
    size = serializers.IntegerField(read_only=True)

    class Meta:
        model = VersionFile
        fields = ["name", "size", "sha256", "role", "is_served"]


class VersionShort(serializers.ModelSerializer):
    """A version as a list shows it."""

    model = serializers.CharField(read_only=True)
    version = serializers.IntegerField(read_only=True)
    uploaded_by = serializers.EmailField(read_only=True)

    class Meta:
        model = ModelVersion
        fields = ["model", "version", *shapes.SHORT, "uploaded_by"]


class VersionOut(VersionShort):
    """A version with all that its examination found out; ``parent`` is what it was made from, as `model/number`."""

    parent = serializers.CharField(allow_null=True, read_only=True)  # type: ignore[assignment]
    checks = CheckOut(many=True, read_only=True)
    files = FileOut(many=True, read_only=True)

    class Meta(VersionShort.Meta):
        fields = [*VersionShort.Meta.fields, "parent", *shapes.FOUND, "checks", "files"]


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


class CardPart(serializers.Serializer):
    """One thing that reviewers look for in a card, and whether it is said."""

    part = serializers.ChoiceField(choices=[part.key for part in PARTS])
    is_there = serializers.BooleanField()


class CardOut(serializers.Serializer):
    """A version's card: its text, the revision in force, and what of it is there."""

    card = serializers.CharField()
    revision = serializers.IntegerField()
    parts = CardPart(many=True)


class CardIn(serializers.Serializer):
    card = serializers.CharField(max_length=200_000, allow_blank=True, trim_whitespace=False)
    revision = serializers.IntegerField(min_value=1, help_text="The revision that the new text was made from.")


class RetirementIn(serializers.Serializer):
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")
