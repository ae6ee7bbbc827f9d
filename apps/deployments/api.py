"""The API of deployments, and of endpoints with what they serve now: traffic and rolling back."""

from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.selectors import get_project
from apps.core.filters import Ordering
from apps.core.idempotency import IdempotentMixin
from apps.core.messages import say
from apps.core.web import ApiRequest
from apps.deployments import selectors, services
from apps.deployments.models import Deployment, Replica, Step
from apps.releases.selectors import get_release
from apps.targets.models import Endpoint
from apps.targets.selectors import get_endpoint, get_environment
from apps.targets.services import create_endpoint


class ReplicaSerializer(serializers.ModelSerializer[Replica]):
    failure = serializers.SerializerMethodField()

    class Meta:
        model = Replica
        fields = (
            "name",
            "index",
            "state",
            "restarts",
            "started_at",
            "healthy_since",
            "failure_kind",
            "failure",
            "failure_log",
        )

    def get_failure(self, replica: Replica) -> str:
        return say(replica.failure)


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    endpoint = serializers.CharField(source="endpoint.name")
    release = serializers.IntegerField(source="release_id")
    model = serializers.CharField(source="release.version.model.name")
    version = serializers.IntegerField(source="release.version.number")
    target = serializers.CharField(source="target.name")
    build_digest = serializers.CharField(source="build.digest")
    failure = serializers.SerializerMethodField()
    replica_set = ReplicaSerializer(many=True)

    class Meta:
        model = Deployment
        fields = (
            "id",
            "endpoint",
            "release",
            "model",
            "version",
            "target",
            "build_digest",
            "cause",
            "is_wanted",
            "replicas",
            "generation",
            "phase",
            "observed_generation",
            "failure_kind",
            "failure",
            "failure_log",
            "replica_set",
            "created_at",
            "live_at",
            "ended_at",
        )

    def get_failure(self, deployment: Deployment) -> str:
        return say(deployment.failure)


class StepSerializer(serializers.ModelSerializer[Step]):
    detail = serializers.SerializerMethodField()
    seconds = serializers.SerializerMethodField()

    class Meta:
        model = Step
        fields = ("name", "state", "detail", "log", "started_at", "finished_at", "seconds")

    def get_detail(self, step: Step) -> str:
        return say(step.detail)

    def get_seconds(self, step: Step) -> float | None:
        return (step.finished_at - step.started_at).total_seconds() if step.finished_at else None


class RouteSerializer(serializers.ModelSerializer[Deployment]):
    """What takes traffic, and how many percent of it."""

    deployment = serializers.IntegerField(source="pk")
    release = serializers.IntegerField(source="release_id")
    model = serializers.CharField(source="release.version.model.name")
    version = serializers.IntegerField(source="release.version.number")
    weight = serializers.IntegerField()

    class Meta:
        model = Deployment
        fields = ("deployment", "release", "model", "version", "weight")


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """An address at the gateway, with what it serves now."""

    environment = serializers.CharField(source="environment.name")
    state = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    routes = serializers.SerializerMethodField()
    replicas = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = (
            "name",
            "environment",
            "description",
            "max_body_bytes",
            "timeout_seconds",
            "is_idempotent",
            "state",
            "url",
            "routes",
            "replicas",
            "created_at",
        )
        read_only_fields = ("created_at",)

    @extend_schema_field(serializers.ChoiceField(selectors.UNHEALTHY_FIRST))
    def get_state(self, endpoint: Endpoint) -> str:
        return selectors.state_word(_known(endpoint))

    def get_url(self, endpoint: Endpoint) -> str:
        return f"{settings.SLIPWAY_GATEWAY_URL}/{endpoint.project.slug}/{endpoint.name}"

    @extend_schema_field(RouteSerializer(many=True))
    def get_routes(self, endpoint: Endpoint) -> Any:
        return RouteSerializer(selectors.routed(_known(endpoint)), many=True).data

    @extend_schema_field(ReplicaSerializer(many=True))
    def get_replicas(self, endpoint: Endpoint) -> Any:
        rows = [replica for one in _known(endpoint) if one.is_wanted for replica in one.replica_set.all()]
        return ReplicaSerializer(rows, many=True).data


class StartSerializer(serializers.Serializer[Any]):
    release = serializers.IntegerField()


class ScaleSerializer(serializers.Serializer[Any]):
    replicas = serializers.IntegerField(min_value=1, max_value=64)


class TrafficSerializer(serializers.Serializer[Any]):
    weights = serializers.DictField(child=serializers.IntegerField(min_value=0, max_value=100))


class RollbackSerializer(serializers.Serializer[Any]):
    deployment = serializers.IntegerField(required=False, help_text="An earlier one; without it the last good one.")
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class DeploymentFilter(django_filters.FilterSet):
    endpoint = django_filters.CharFilter("endpoint__name")
    release = django_filters.NumberFilter("release")
    model = django_filters.CharFilter("release__version__model__name")
    target = django_filters.CharFilter("target__name")
    ordering = Ordering({"created_at": "created", "endpoint__name": "endpoint", "phase": "phase"})

    class Meta:
        model = Deployment
        fields = ("phase", "is_wanted")


class EndpointFilter(django_filters.FilterSet):
    environment = django_filters.CharFilter("environment__name")
    ordering = Ordering({"name": "name", "environment__name": "environment", "created_at": "created"})

    class Meta:
        model = Endpoint
        fields = ()


class DeploymentList(IdempotentMixin, generics.ListAPIView[Deployment]):
    """What runs and what ran, newest first; POST starts an approved and built release."""

    request: ApiRequest

    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilter
    queryset = Deployment.objects.none()

    def get_queryset(self) -> QuerySet[Deployment]:
        actor = self.request.actor
        return selectors.deployments(actor, get_project(actor, self.kwargs["project"], "endpoint.view"))

    @extend_schema(
        request=StartSerializer,
        responses={201: DeploymentSerializer},
        examples=[OpenApiExample("Start release 12", {"release": 12}, request_only=True)],
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        room = get_project(request.actor, project)
        wish = StartSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        release = get_release(request.actor, room, wish.validated_data["release"])
        deployment = services.start_release(actor=request.actor, release=release)
        return _answer(request, deployment, status.HTTP_201_CREATED)


class DeploymentDetail(generics.RetrieveAPIView[Deployment]):
    serializer_class = DeploymentSerializer
    queryset = Deployment.objects.none()

    def get_object(self) -> Deployment:
        return _deployment(self.request, self.kwargs)  # type: ignore[arg-type]


class DeploymentStop(IdempotentMixin, APIView):
    @extend_schema(request=None, responses={202: DeploymentSerializer})
    def post(self, request: ApiRequest, **where: Any) -> Response:
        deployment = services.stop(actor=request.actor, deployment=_deployment(request, where))
        return _answer(request, deployment, status.HTTP_202_ACCEPTED)


class DeploymentStart(IdempotentMixin, APIView):
    @extend_schema(request=None, responses={202: DeploymentSerializer})
    def post(self, request: ApiRequest, **where: Any) -> Response:
        deployment = services.start(actor=request.actor, deployment=_deployment(request, where))
        return _answer(request, deployment, status.HTTP_202_ACCEPTED)


class DeploymentScale(IdempotentMixin, APIView):
    @extend_schema(request=ScaleSerializer, responses={202: DeploymentSerializer})
    def post(self, request: ApiRequest, **where: Any) -> Response:
        wish = ScaleSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        deployment = services.scale(actor=request.actor, deployment=_deployment(request, where), **wish.validated_data)
        return _answer(request, deployment, status.HTTP_202_ACCEPTED)


class DeploymentTimeline(APIView):
    """Each step with its duration in seconds; a failed one with its reason and its log line."""

    @extend_schema(responses=StepSerializer(many=True))
    def get(self, request: ApiRequest, **where: Any) -> Response:
        return Response(StepSerializer(_deployment(request, where).steps.all(), many=True).data)


class DeploymentLogs(APIView):
    """The newest lines of each replica's log: ``{"<replica>": ["…"]}``."""

    @extend_schema(responses={200: {"type": "object", "additionalProperties": {"type": "array"}}})
    def get(self, request: ApiRequest, **where: Any) -> Response:
        deployment = _deployment(request, where)
        request.actor.require("deployment.logs", deployment.project)
        return Response(selectors.logs(deployment))


class EndpointList(IdempotentMixin, generics.ListAPIView[Endpoint]):
    """The project's addresses at the gateway, with what each serves now; make one by POST."""

    request: ApiRequest

    serializer_class = EndpointSerializer
    filterset_class = EndpointFilter
    queryset = Endpoint.objects.none()

    def get_queryset(self) -> QuerySet[Endpoint]:
        actor = self.request.actor
        return selectors.serving_endpoints(actor, get_project(actor, self.kwargs["project"], "endpoint.view"))

    @extend_schema(
        request=EndpointSerializer,
        responses={201: EndpointSerializer},
        examples=[OpenApiExample("Digits", {"name": "digits", "environment": "production"}, request_only=True)],
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        room = get_project(request.actor, project)
        wish = EndpointSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        fields = dict(wish.validated_data)
        environment = get_environment(request.actor, room, fields.pop("environment")["name"])
        made = create_endpoint(actor=request.actor, project=room, environment=environment, **fields)
        serving = selectors.get_serving(request.actor, room, made.name)
        return Response(EndpointSerializer(serving).data, status=status.HTTP_201_CREATED)


class EndpointDetail(generics.RetrieveAPIView[Endpoint]):
    """An endpoint, what it serves and with how many replicas."""

    serializer_class = EndpointSerializer
    queryset = Endpoint.objects.none()

    def get_object(self) -> Endpoint:
        return _serving(self.request, self.kwargs)  # type: ignore[arg-type]


class EndpointTraffic(IdempotentMixin, APIView):
    """Give each running deployment its share of the traffic; the shares sum to 100."""

    @extend_schema(
        request=TrafficSerializer,
        responses=RouteSerializer(many=True),
        examples=[OpenApiExample("A tenth to the new one", {"weights": {"7": 90, "9": 10}}, request_only=True)],
    )
    def post(self, request: ApiRequest, **where: Any) -> Response:
        wish = TrafficSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        weights = {int(pk): weight for pk, weight in wish.validated_data["weights"].items() if pk.isdigit()}
        endpoint = _endpoint(request, where)
        services.set_traffic(actor=request.actor, endpoint=endpoint, weights=weights)
        taking = selectors.routed(_known(_serving(request, where)))
        return Response(RouteSerializer(taking, many=True).data)


class EndpointRollback(IdempotentMixin, APIView):
    """Back to the last good release, or to the deployment that is named."""

    @extend_schema(request=RollbackSerializer, responses={202: DeploymentSerializer})
    def post(self, request: ApiRequest, **where: Any) -> Response:
        wish = RollbackSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        endpoint = _endpoint(request, where)
        pk = wish.validated_data.get("deployment")
        to = selectors.get_deployment(request.actor, endpoint.project, pk) if pk else None
        deployment = services.roll_back(actor=request.actor, endpoint=endpoint, to=to, note=wish.validated_data["note"])
        return _answer(request, deployment, status.HTTP_202_ACCEPTED)


def _deployment(request: ApiRequest, where: dict[str, Any]) -> Deployment:
    project = get_project(request.actor, where["project"], "endpoint.view")
    return selectors.get_deployment(request.actor, project, where["pk"])


def _endpoint(request: ApiRequest, where: dict[str, Any]) -> Endpoint:
    project = get_project(request.actor, where["project"], "endpoint.view")
    return get_endpoint(request.actor, project, where["endpoint"])


def _serving(request: ApiRequest, where: dict[str, Any]) -> Endpoint:
    project = get_project(request.actor, where["project"], "endpoint.view")
    return selectors.get_serving(request.actor, project, where["endpoint"])


def _known(endpoint: Endpoint) -> list[Deployment]:
    return endpoint.known  # type: ignore[attr-defined, no-any-return]


def _answer(request: ApiRequest, deployment: Deployment, code: int) -> Response:
    fresh = selectors.get_deployment(request.actor, deployment.project, deployment.pk)
    return Response(DeploymentSerializer(fresh).data, status=code)
