"""What the API says and takes of rules, alerts, channels and series, field by field."""

from typing import Any

from rest_framework import serializers

from apps.monitoring.metrics import METRICS, OPERATORS, SEVERITIES
from apps.monitoring.models import Alert, AlertRule, Channel


class MetricStepSerializer(serializers.Serializer[Any]):
    """One step. Silence is zero requests, and null where there is nothing to take a share or a percentile of."""

    at = serializers.DateTimeField()
    requests = serializers.IntegerField()
    requests_per_second = serializers.FloatField()
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="By outcome: 2xx 3xx 4xx 429 5xx gone")
    error_share = serializers.FloatField(allow_null=True, help_text="Percent of requests answered with 5xx")
    p50 = serializers.FloatField(allow_null=True, help_text="Milliseconds")
    p90 = serializers.FloatField(allow_null=True, help_text="Milliseconds")
    p99 = serializers.FloatField(allow_null=True, help_text="Milliseconds")
    p99_9 = serializers.FloatField(allow_null=True, help_text="Milliseconds")
    bytes_in = serializers.IntegerField()
    bytes_out = serializers.IntegerField()
    in_flight_max = serializers.IntegerField()


class ReplicaStepsSerializer(serializers.Serializer[Any]):
    """One replica; each list has one value for each step, null where it was not seen."""

    replica = serializers.CharField()
    deployment = serializers.IntegerField()
    cpu = serializers.ListField(child=serializers.FloatField(allow_null=True), help_text="Percent of one core")
    memory_mb = serializers.ListField(child=serializers.FloatField(allow_null=True))


class EndpointStepsSerializer(serializers.Serializer[Any]):
    endpoint = serializers.CharField()
    steps = MetricStepSerializer(many=True)
    replicas = ReplicaStepsSerializer(many=True)


class ReportSerializer(serializers.Serializer[Any]):
    """``step`` may be longer than asked for: as long as what is still kept from that time demands."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step = serializers.IntegerField(help_text="Seconds")
    endpoints = EndpointStepsSerializer(many=True)


class RuleSerializer(serializers.ModelSerializer[AlertRule]):
    endpoint = serializers.CharField(source="endpoint.name")
    channels: serializers.SlugRelatedField[Channel] = serializers.SlugRelatedField("name", many=True, read_only=True)
    created_by = serializers.CharField(source="created_by.name")
    state = serializers.CharField(source="standing", allow_null=True, help_text="Of the open alert, if there is one")

    class Meta:
        model = AlertRule
        fields = (
            "id",
            "name",
            "endpoint",
            "metric",
            "operator",
            "threshold",
            "window_seconds",
            "for_seconds",
            "severity",
            "channels",
            "is_enabled",
            "state",
            "created_by",
            "created_at",
            "updated_at",
        )


class RuleWishSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    endpoint = serializers.SlugField()
    metric = serializers.ChoiceField(choices=list(METRICS))
    operator = serializers.ChoiceField(choices=list(OPERATORS), default=">")
    threshold = serializers.FloatField()
    window_seconds = serializers.IntegerField(min_value=60, max_value=86400, default=300)
    for_seconds = serializers.IntegerField(min_value=0, max_value=86400, default=300)
    severity = serializers.ChoiceField(choices=list(SEVERITIES), default="warning")
    channels = serializers.ListField(child=serializers.CharField(max_length=80), max_length=50, default=list)
    is_enabled = serializers.BooleanField(default=True)


class AlertSerializer(serializers.ModelSerializer[Alert]):
    rule = serializers.CharField(source="rule.name")
    endpoint = serializers.CharField(source="rule.endpoint.name")
    severity = serializers.CharField(source="rule.severity")
    metric = serializers.CharField(source="rule.metric")
    threshold = serializers.FloatField(source="rule.threshold")
    acknowledged_by = serializers.CharField(source="acknowledged_by.name", default=None, allow_null=True)

    class Meta:
        model = Alert
        fields = (
            "id",
            "rule",
            "endpoint",
            "severity",
            "metric",
            "threshold",
            "state",
            "value",
            "since",
            "fired_at",
            "acknowledged_at",
            "acknowledged_by",
            "note",
            "resolved_at",
        )


class AcknowledgementSerializer(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class ChannelSerializer(serializers.ModelSerializer[Channel]):
    last_state = serializers.CharField(allow_null=True, help_text="Of the newest delivery: queued, sent or failed")

    class Meta:
        model = Channel
        fields = ("id", "name", "kind", "config", "is_enabled", "last_state", "created_at")


class MadeChannelSerializer(serializers.ModelSerializer[Channel]):
    """A channel just made, with the signing secret that is shown this once (empty where the kind has none)."""

    secret = serializers.CharField()

    class Meta:
        model = Channel
        fields = ("id", "name", "kind", "config", "is_enabled", "secret")


class ChannelWishSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=["webhook", "mail"])
    url = serializers.URLField(required=False, help_text="For a webhook")
    to = serializers.ListField(child=serializers.EmailField(), required=False, max_length=20, help_text="For e-mail")

    def validate(self, wish: dict[str, Any]) -> dict[str, Any]:
        needed = "url" if wish["kind"] == "webhook" else "to"
        if not wish.get(needed):
            raise serializers.ValidationError({needed: [self.fields[needed].error_messages["required"]]})
        return {"name": wish["name"], "kind": wish["kind"], "config": {needed: wish[needed]}}
