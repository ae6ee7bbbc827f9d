"""The API of monitoring: series of measurements, alert rules, alerts and channels."""

from collections.abc import Iterable, Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.errors import Invalid
from apps.core.filters import Ordering
from apps.core.idempotency import IdempotentMixin
from apps.core.web import ApiRequest
from apps.monitoring import selectors, services, spans
from apps.monitoring.models import Alert, AlertRule, Channel
from apps.monitoring.reports import report
from apps.monitoring.serializers import (
    AcknowledgementSerializer,
    AlertSerializer,
    ChannelSerializer,
    ChannelWishSerializer,
    MadeChannelSerializer,
    ReportSerializer,
    RuleSerializer,
    RuleWishSerializer,
)
from apps.targets.selectors import endpoints as read_endpoints
from apps.targets.selectors import get_endpoint

_RULE_EXAMPLE = OpenApiExample(
    "Warn when p99 is above 150 ms for 5 minutes",
    {
        "name": "Slow digits",
        "endpoint": "digits",
        "metric": "latency_p99",
        "operator": ">",
        "threshold": 150,
        "window_seconds": 300,
        "for_seconds": 300,
        "severity": "warning",
        "channels": ["on-call"],
    },
    request_only=True,
)
_CHANNEL_EXAMPLE = OpenApiExample(
    "A webhook", {"name": "on-call", "kind": "webhook", "url": "https://hooks.example.com/slipway"}, request_only=True
)


class Metrics(APIView):
    """Requests, errors, latency percentiles, bytes, CPU and memory over a stretch of time, in steps."""

    @extend_schema(
        parameters=[
            OpenApiParameter("endpoint", str, description="One endpoint's name; all of the project when left out"),
            OpenApiParameter("from", str, description="RFC 3339; an hour before `to` when left out"),
            OpenApiParameter("to", str, description="RFC 3339; now when left out"),
            OpenApiParameter("step", int, description="Seconds, a multiple of 10; at most 1000 steps in all"),
        ],
        responses=ReportSerializer,
    )
    def get(self, request: ApiRequest, project: str) -> Response:
        room = get_project(request.actor, project, "monitoring.view")
        name = request.query_params.get("endpoint")
        chosen = [get_endpoint(request.actor, room, name)] if name else list(read_endpoints(request.actor, room))
        return Response(ReportSerializer(report(chosen, _span(request.query_params))).data)


class RuleList(IdempotentMixin, generics.ListAPIView[AlertRule]):
    """The project's alert rules; make one by POST."""

    request: ApiRequest

    serializer_class = RuleSerializer
    queryset = AlertRule.objects.none()

    def get_queryset(self) -> QuerySet[AlertRule]:
        return selectors.rules(self.request.actor, _project(self))

    @extend_schema(
        request=RuleWishSerializer,
        responses={201: RuleSerializer},
        examples=[_RULE_EXAMPLE],
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        room = _project(self)
        rule = services.create_rule(actor=request.actor, project=room, **_rule_facts(request, room, is_partial=False))
        return _answer_rule(request, room, rule, status.HTTP_201_CREATED)


class RuleDetail(IdempotentMixin, generics.RetrieveAPIView[AlertRule]):
    """One alert rule: read, change some of it, or delete it with the alerts it raised."""

    request: ApiRequest

    serializer_class = RuleSerializer
    queryset = AlertRule.objects.none()

    def get_object(self) -> AlertRule:
        return selectors.get_rule(self.request.actor, _project(self), self.kwargs["pk"])

    @extend_schema(request=RuleWishSerializer(partial=True), responses=RuleSerializer)
    def patch(self, request: ApiRequest, project: str, pk: int) -> Response:
        room, rule = _project(self), self.get_object()
        services.change_rule(actor=request.actor, rule=rule, **_rule_facts(request, room, is_partial=True))
        return _answer_rule(request, room, rule)

    @extend_schema(responses={204: None})
    def delete(self, request: ApiRequest, project: str, pk: int) -> Response:
        services.delete_rule(actor=request.actor, rule=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AlertFilter(django_filters.FilterSet):
    endpoint = django_filters.CharFilter("rule__endpoint__name")
    severity = django_filters.CharFilter("rule__severity")
    rule = django_filters.CharFilter("rule__name")
    ordering = Ordering({"since": "since", "state": "state", "rule__endpoint__name": "endpoint", "rule__name": "rule"})

    class Meta:
        model = Alert
        fields = ("state",)


class AlertList(generics.ListAPIView[Alert]):
    """Alerts that fired or are about to, newest first."""

    request: ApiRequest

    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    queryset = Alert.objects.none()

    def get_queryset(self) -> QuerySet[Alert]:
        return selectors.alerts(self.request.actor, _project(self))


class AlertAcknowledge(IdempotentMixin, APIView):
    """Say “I am on it”, with a note if you like."""

    @extend_schema(request=AcknowledgementSerializer, responses=AlertSerializer)
    def post(self, request: ApiRequest, project: str, pk: int) -> Response:
        room = _project(self)
        alert = selectors.get_alert(request.actor, room, pk)
        words = AcknowledgementSerializer(data=request.data)
        words.is_valid(raise_exception=True)
        services.acknowledge(actor=request.actor, alert=alert, **words.validated_data)
        return Response(AlertSerializer(selectors.get_alert(request.actor, room, pk)).data)


class ChannelList(IdempotentMixin, generics.ListAPIView[Channel]):
    """The project's channels; make one by POST. A webhook's signing secret is in that answer and nowhere else."""

    request: ApiRequest

    serializer_class = ChannelSerializer
    shown_once = ("secret",)
    queryset = Channel.objects.none()

    def get_queryset(self) -> QuerySet[Channel]:
        return selectors.channels(self.request.actor, _project(self))

    @extend_schema(request=ChannelWishSerializer, responses={201: MadeChannelSerializer}, examples=[_CHANNEL_EXAMPLE])
    def post(self, request: ApiRequest, project: str) -> Response:
        wish = ChannelWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        channel, secret = services.create_channel(actor=request.actor, project=_project(self), **wish.validated_data)
        channel.secret = secret  # type: ignore[attr-defined]
        return Response(MadeChannelSerializer(channel).data, status=status.HTTP_201_CREATED)


def _project(view: APIView) -> Project:
    request: ApiRequest = view.request  # type: ignore[assignment]
    return get_project(request.actor, view.kwargs["project"], "monitoring.view")


def _span(query: Mapping[str, str]) -> spans.Span:
    start, end = spans.bounds(query, timezone.now())
    seconds = (end - start).total_seconds()
    finest = spans.finest_step(seconds, spans.MOST_STEPS)
    wanted = query.get("step", "")
    if wanted and (not wanted.isdigit() or int(wanted) < spans.FINEST or int(wanted) % spans.FINEST):
        raise Invalid(
            _("“%(step)s” is not a step.") % {"step": wanted[:20]},
            advice=_("Give whole seconds, a multiple of 10."),
            errors={"step": [_("A multiple of 10.")]},
        )
    if wanted and seconds / int(wanted) > spans.MOST_STEPS:
        raise Invalid(
            _("That would be more than %(most)s steps.") % {"most": spans.MOST_STEPS},
            advice=_("Use steps of at least %(step)s seconds, or a shorter range.") % {"step": finest},
            errors={"step": [_("Too fine for this range.")]},
        )
    return spans.between(start, end, step=int(wanted) if wanted else finest)


def _rule_facts(request: ApiRequest, project: Project, *, is_partial: bool) -> dict[str, Any]:
    wish = RuleWishSerializer(data=request.data, partial=is_partial)
    wish.is_valid(raise_exception=True)
    facts: dict[str, Any] = dict(wish.validated_data)
    if "endpoint" in facts:
        facts["endpoint"] = get_endpoint(request.actor, project, facts["endpoint"])
    if "channels" in facts:
        facts["channels"] = _channels(project, facts["channels"])
    return facts


def _channels(project: Project, names: Iterable[str]) -> list[Channel]:
    found = {channel.name: channel for channel in Channel.objects.filter(project=project, name__in=list(names))}
    if missing := [name for name in names if name not in found]:
        words = _("There is no channel “%(name)s” in this project.") % {"name": missing[0]}
        raise Invalid(words, errors={"channels": [words]})
    return list(found.values())


def _answer_rule(request: ApiRequest, project: Project, rule: AlertRule, code: int = 200) -> Response:
    return Response(RuleSerializer(selectors.get_rule(request.actor, project, rule.pk)).data, status=code)
