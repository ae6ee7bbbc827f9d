"""The API of targets and environments."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.selectors import get_project
from apps.core.errors import Missing
from apps.core.filters import Ordering
from apps.core.idempotency import IdempotentMixin
from apps.core.web import ApiRequest
from apps.targets import selectors, services
from apps.targets.models import Environment, Target


class TargetSerializer(serializers.ModelSerializer[Target]):
    """A target as everybody may see it; ``secrets`` go in and never come out."""

    kind = serializers.ChoiceField(services.KINDS)
    config = serializers.DictField(default=dict)
    secrets = serializers.DictField(child=serializers.CharField(), write_only=True, default=dict)

    class Meta:
        model = Target
        fields = (
            "name",
            "kind",
            "config",
            "secrets",
            "draining",
            "is_enabled",
            "is_reachable",
            "checked_at",
            "check_lines",
        )
        read_only_fields = ("draining", "is_enabled", "is_reachable", "checked_at", "check_lines")


class TargetChangeSerializer(TargetSerializer):
    class Meta(TargetSerializer.Meta):
        read_only_fields = ("name", "kind", "draining", "is_reachable", "checked_at", "check_lines")  # type: ignore[assignment]


class NodeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.CharField()
    cpus = serializers.FloatField()
    memory_bytes = serializers.IntegerField()
    memory_free_bytes = serializers.IntegerField()
    disk_free_bytes = serializers.IntegerField()
    gpus = serializers.ListField(child=serializers.DictField())


class EnvironmentSerializer(serializers.ModelSerializer[Environment]):
    target = serializers.SlugRelatedField(slug_field="name", queryset=Target.objects.all())

    class Meta:
        model = Environment
        fields = ("name", "description", "approvals_required", "starts_by_itself", "approval_days", "target")


class TargetFilter(django_filters.FilterSet):
    ordering = Ordering({"name": "name", "kind": "kind"})

    class Meta:
        model = Target
        fields = ("kind", "is_enabled", "is_reachable")


class TargetList(IdempotentMixin, generics.ListCreateAPIView[Target]):
    """Where models can run. Adding one is for administrators of the installation."""

    request: ApiRequest

    serializer_class = TargetSerializer
    filterset_class = TargetFilter

    def get_queryset(self) -> QuerySet[Target]:
        return selectors.targets()

    @extend_schema(
        examples=[
            OpenApiExample("This machine", {"name": "this-machine", "kind": "process"}, request_only=True),
            OpenApiExample(
                "A GPU host",
                {
                    "name": "gpus",
                    "kind": "docker",
                    "config": {"hosts": [{"name": "gpu-1", "url": "tcp://10.0.0.5:2376"}]},
                    "secrets": {"ca": "-----BEGIN …", "cert": "-----BEGIN …", "key": "-----BEGIN …"},
                },
                request_only=True,
            ),
        ]
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().post(request, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer[Target]) -> None:
        serializer.instance = services.create_target(actor=self.request.actor, **serializer.validated_data)


class TargetDetail(IdempotentMixin, generics.RetrieveUpdateAPIView[Target]):
    """One target. ``secrets`` that are sent take the place of what was sealed before; the others stay."""

    request: ApiRequest
    http_method_names = ["get", "patch", "head", "options"]
    serializer_class = TargetChangeSerializer
    queryset = Target.objects.none()

    def get_object(self) -> Target:
        return selectors.get_target(self.kwargs["name"])

    def perform_update(self, serializer: serializers.BaseSerializer[Target]) -> None:
        changes = serializer.validated_data
        serializer.instance = services.edit_target(actor=self.request.actor, target=self.get_object(), **changes)


class NodeDrain(IdempotentMixin, APIView):
    """Start nothing on a machine any more, and move its replicas to others, each once its next one answers."""

    @extend_schema(request=None, responses=TargetSerializer)
    def post(self, request: ApiRequest, name: str, node: str) -> Response:
        target = services.drain_node(actor=request.actor, target=selectors.get_target(name), node=node)
        return Response(TargetSerializer(target).data)


class NodeUndrain(IdempotentMixin, APIView):
    """Let a machine take replicas again."""

    @extend_schema(request=None, responses=TargetSerializer)
    def post(self, request: ApiRequest, name: str, node: str) -> Response:
        target = services.undrain_node(actor=request.actor, target=selectors.get_target(name), node=node)
        return Response(TargetSerializer(target).data)


class TargetCheck(IdempotentMixin, APIView):
    """Have a target looked at now. The result stands in the target's ``check_lines`` a moment later."""

    @extend_schema(request=None, responses={202: TargetSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        target = services.ask_for_check(actor=request.actor, target=selectors.get_target(name))
        return Response(TargetSerializer(target).data, status=status.HTTP_202_ACCEPTED)


class TargetNodes(APIView):
    """The machines of a target, with what they have and what is free."""

    @extend_schema(responses=NodeSerializer(many=True))
    def get(self, request: ApiRequest, name: str) -> Response:
        return Response(NodeSerializer(selectors.get_target(name).nodes, many=True).data)


class EnvironmentList(IdempotentMixin, generics.ListCreateAPIView[Environment]):
    """The project's policies: how many approvals a release needs, and whether it starts by itself."""

    request: ApiRequest

    serializer_class = EnvironmentSerializer
    queryset = Environment.objects.none()

    def get_queryset(self) -> QuerySet[Environment]:
        return selectors.environments(self.request.actor, get_project(self.request.actor, self.kwargs["project"]))

    def perform_create(self, serializer: serializers.BaseSerializer[Environment]) -> None:
        project = get_project(self.request.actor, self.kwargs["project"])
        serializer.instance = services.create_environment(
            actor=self.request.actor, project=project, **serializer.validated_data
        )


class EnvironmentDetail(IdempotentMixin, generics.RetrieveUpdateAPIView[Environment]):
    request: ApiRequest
    http_method_names = ["get", "patch", "head", "options"]
    serializer_class = EnvironmentSerializer
    queryset = Environment.objects.none()

    def get_object(self) -> Environment:
        actor = self.request.actor
        return selectors.get_environment(actor, get_project(actor, self.kwargs["project"]), self.kwargs["name"])

    def perform_update(self, serializer: serializers.BaseSerializer[Environment]) -> None:
        changes = dict(serializer.validated_data)
        if "name" in changes:
            raise Missing(_("An environment keeps its name."))
        if target := changes.pop("target", None):
            changes["target_id"] = target.pk
        services.edit_environment(actor=self.request.actor, environment=self.get_object(), **changes)
        serializer.instance = self.get_object()
