"""The API of releases. Approving and rejecting is for people: a key is refused by the service, whatever its scopes."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.filters import Ordering
from apps.core.idempotency import IdempotentMixin
from apps.core.messages import say
from apps.core.web import ApiRequest
from apps.library.models import ModelVersion
from apps.library.selectors import get_version
from apps.releases import selectors, services
from apps.releases.models import Build, Comment, Release, Review
from apps.targets.selectors import get_endpoint, get_target


class ReviewSerializer(serializers.ModelSerializer[Review]):
    reviewer = serializers.CharField(source="reviewer.name")

    class Meta:
        model = Review
        fields = ("reviewer", "decision", "subject", "note", "created_at")


class CommentSerializer(serializers.ModelSerializer[Comment]):
    author = serializers.CharField(source="author.name", read_only=True)
    text = serializers.CharField(max_length=10_000)

    class Meta:
        model = Comment
        fields = ("author", "text", "created_at")
        read_only_fields = ("created_at",)


class BuildSerializer(serializers.ModelSerializer[Build]):
    failure = serializers.SerializerMethodField()

    class Meta:
        model = Build
        fields = ("id", "builder", "state", "digest", "steps", "failure_kind", "failure", "started_at", "finished_at")

    def get_failure(self, build: Build) -> str:
        return say(build.failure)


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    model = serializers.CharField(source="version.model.name")
    version = serializers.IntegerField(source="version.number")
    endpoint = serializers.CharField(source="endpoint.name")
    environment = serializers.CharField(source="endpoint.environment.name")
    target = serializers.CharField(source="target.name")
    proposed_by = serializers.CharField(source="proposed_by.name")
    reviews = ReviewSerializer(many=True)
    build = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = (
            "id",
            "state",
            "subject",
            "model",
            "version",
            "endpoint",
            "environment",
            "target",
            "replicas",
            "options",
            "note",
            "approvals_required",
            "proposed_by",
            "created_at",
            "decided_at",
            "expires_at",
            "reviews",
            "build",
        )

    @extend_schema(responses=BuildSerializer)
    def get_build(self, release: Release) -> Any:
        builds = list(release.builds.all())
        return BuildSerializer(builds[0]).data if builds else None


class OptionsSerializer(serializers.Serializer[Any]):
    """What a release may ask for beyond the model: memory, cores and GPUs of one replica, and how calls are batched.

    GPUs are for models served as ONNX, on targets of kind docker or swarm. A canary runs beside what serves and has no
    traffic before it is given a share.
    """

    memory_mb = serializers.IntegerField(min_value=128, max_value=1 << 20, required=False)
    cpus = serializers.FloatField(min_value=0.1, max_value=256, required=False)
    gpus = serializers.IntegerField(min_value=1, max_value=16, required=False)
    canary = serializers.BooleanField(required=False)
    batch_max_size = serializers.IntegerField(min_value=1, max_value=1024, required=False)
    batch_max_delay_ms = serializers.FloatField(min_value=0, max_value=1000, required=False)


class ProposalSerializer(serializers.Serializer[Any]):
    model = serializers.SlugField()
    version = serializers.IntegerField(min_value=1)
    endpoint = serializers.SlugField()
    target = serializers.SlugField(required=False)
    replicas = serializers.IntegerField(min_value=1, max_value=64, default=1)
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    options = OptionsSerializer(required=False)


class DecisionSerializer(serializers.Serializer[Any]):
    subject = serializers.CharField(min_length=64, max_length=64)
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class NoteSerializer(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class ReleaseFilter(django_filters.FilterSet):
    endpoint = django_filters.CharFilter("endpoint__name")
    model = django_filters.CharFilter("version__model__name")
    version = django_filters.NumberFilter("version__number")
    environment = django_filters.CharFilter("endpoint__environment__name")
    target = django_filters.CharFilter("target__name")
    ordering = Ordering({"created_at": "created", "endpoint__name": "endpoint", "state": "state"})

    class Meta:
        model = Release
        fields = ("state",)


class ReleaseList(IdempotentMixin, generics.ListAPIView[Release]):
    """The project's releases, newest first; propose one by POST."""

    request: ApiRequest

    serializer_class = ReleaseSerializer
    filterset_class = ReleaseFilter
    queryset = Release.objects.none()

    def get_queryset(self) -> QuerySet[Release]:
        actor = self.request.actor
        return selectors.releases(actor, get_project(actor, self.kwargs["project"], "release.view"))

    @extend_schema(
        request=ProposalSerializer,
        responses={201: ReleaseSerializer},
        examples=[
            OpenApiExample(
                "Propose version 3",
                {"model": "digits", "version": 3, "endpoint": "digits", "replicas": 2, "note": "Better on sevens"},
                request_only=True,
            )
        ],
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        room = get_project(request.actor, project)
        wish = ProposalSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        release = _propose(request, room, wish.validated_data)
        return _answer(request, room, release, status.HTTP_201_CREATED)


class ReleaseDetail(generics.RetrieveAPIView[Release]):
    request: ApiRequest
    serializer_class = ReleaseSerializer
    queryset = Release.objects.none()

    def get_object(self) -> Release:
        actor = self.request.actor
        project = get_project(actor, self.kwargs["project"], "release.view")
        return selectors.get_release(actor, project, self.kwargs["pk"])


class ReleaseApprove(IdempotentMixin, APIView):
    """Approve exactly the subject that was shown. People only."""

    @extend_schema(request=DecisionSerializer, responses=ReleaseSerializer)
    def post(self, request: ApiRequest, project: str, pk: int) -> Response:
        return _decide(request, project, pk, services.approve)


class ReleaseReject(IdempotentMixin, APIView):
    """Reject, saying why. People only."""

    @extend_schema(request=DecisionSerializer, responses=ReleaseSerializer)
    def post(self, request: ApiRequest, project: str, pk: int) -> Response:
        return _decide(request, project, pk, services.reject)


class ReleaseComments(IdempotentMixin, generics.ListAPIView[Comment]):
    """Questions and answers before the decision, the first one first; add one by POST. People only."""

    request: ApiRequest

    serializer_class = CommentSerializer
    queryset = Comment.objects.none()

    def get_queryset(self) -> QuerySet[Comment]:
        return selectors.comments(self.request.actor, self._find())

    @extend_schema(request=CommentSerializer, responses={201: CommentSerializer})
    def post(self, request: ApiRequest, project: str, pk: int) -> Response:
        words = CommentSerializer(data=request.data)
        words.is_valid(raise_exception=True)
        row = services.comment(actor=request.actor, release=self._find(), **words.validated_data)
        return Response(CommentSerializer(row).data, status=status.HTTP_201_CREATED)

    def _find(self) -> Release:
        project = get_project(self.request.actor, self.kwargs["project"], "release.view")
        return selectors.get_release(self.request.actor, project, self.kwargs["pk"])


class ReleaseWithdraw(IdempotentMixin, APIView):
    """Take a release back."""

    @extend_schema(request=NoteSerializer, responses=ReleaseSerializer)
    def post(self, request: ApiRequest, project: str, pk: int) -> Response:
        room = get_project(request.actor, project, "release.view")
        words = NoteSerializer(data=request.data)
        words.is_valid(raise_exception=True)
        release = selectors.get_release(request.actor, room, pk)
        services.withdraw(actor=request.actor, release=release, **words.validated_data)
        return _answer(request, room, release)


def _propose(request: ApiRequest, room: Project, wish: dict[str, Any]) -> Release:
    version: ModelVersion = get_version(request.actor, room, wish["model"], wish["version"])
    return services.propose(
        actor=request.actor,
        version=version,
        endpoint=get_endpoint(request.actor, room, wish["endpoint"]),
        target=get_target(wish["target"]) if "target" in wish else None,
        replicas=wish["replicas"],
        note=wish["note"],
        options=dict(wish.get("options", {})),
    )


def _decide(request: ApiRequest, project: str, pk: int, decide: Any) -> Response:
    room = get_project(request.actor, project, "release.view")
    release = selectors.get_release(request.actor, room, pk)
    decision = DecisionSerializer(data=request.data)
    decision.is_valid(raise_exception=True)
    decide(actor=request.actor, release=release, **decision.validated_data)
    return _answer(request, room, release)


def _answer(request: ApiRequest, room: Project, release: Release, code: int = 200) -> Response:
    return Response(ReleaseSerializer(selectors.get_release(request.actor, room, release.pk)).data, status=code)
