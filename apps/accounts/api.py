"""The API of projects, members and keys."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts import selectors
from apps.accounts import services as accounts
from apps.accounts.models import ApiKey, Membership, Project
from apps.accounts.roles import ROLES
from apps.accounts.services.keys import DEFAULT_DAYS, MAX_DAYS, MAX_NETWORKS, MAX_OVERLAP_HOURS, OVERLAP_HOURS
from apps.core.errors import Missing
from apps.core.filters import Ordering
from apps.core.idempotency import IdempotentMixin
from apps.core.web import ApiRequest

KEY_EXAMPLE = {
    "project": "demo",
    "name": "Web shop",
    "scopes": ["invoke:digits"],
    "days": 90,
    "networks": ["203.0.113.0/24"],
}


class ProjectSerializer(serializers.ModelSerializer[Project]):
    slug = serializers.CharField(max_length=40)
    quota_bytes = serializers.IntegerField(
        min_value=0, required=False, help_text="Changed by administrators of the installation only"
    )

    class Meta:
        model = Project
        fields = ("slug", "name", "description", "quota_bytes", "created_at")
        read_only_fields = ("created_at",)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name", read_only=True)
    role = serializers.ChoiceField(list(ROLES.items()))
    last_seen = serializers.DateTimeField(source="user.last_seen", read_only=True)

    class Meta:
        model = Membership
        fields = ("email", "name", "role", "last_seen", "created_at")
        read_only_fields = ("created_at",)


class InvitedSerializer(serializers.Serializer[Any]):
    """Somebody new: pass the link on; it is shown once and works for a week."""

    email = serializers.EmailField()
    role = serializers.CharField()
    invitation = serializers.URLField()


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    project = serializers.CharField(source="project.slug")
    id = serializers.CharField(source="key_id", read_only=True)
    created_by = serializers.CharField(source="created_by.email", read_only=True)
    state = serializers.CharField(read_only=True)
    scopes = serializers.ListField(child=serializers.CharField(max_length=80), allow_empty=False)
    days = serializers.IntegerField(write_only=True, default=DEFAULT_DAYS, min_value=1, max_value=MAX_DAYS)
    rate_per_minute = serializers.IntegerField(default=60_000, min_value=1, max_value=1_000_000)
    networks = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=MAX_NETWORKS,
        default=list,
        help_text="Ranges of addresses that it is taken from, e.g. 10.0.0.0/8; none: everywhere.",
    )
    disabled_from = serializers.DateTimeField(read_only=True, help_text="When it is disabled, if not used before.")
    replaced_by = serializers.CharField(source="replaced_by.key_id", read_only=True, default=None)

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "project",
            "name",
            "prefix",
            "last4",
            "scopes",
            "days",
            "rate_per_minute",
            "networks",
            "state",
            "created_by",
            "created_at",
            "expires_at",
            "last_used_at",
            "disabled_from",
            "disabled_at",
            "revoked_at",
            "replaced_by",
        )
        read_only_fields = ("prefix", "last4", "created_at", "expires_at", "last_used_at", "disabled_at", "revoked_at")


class IssuedSerializer(KeySerializer):
    """A new key; ``key`` is its only copy."""

    key = serializers.CharField(read_only=True)

    class Meta(KeySerializer.Meta):
        fields = ("key", *KeySerializer.Meta.fields)  # type: ignore[assignment]


class RotationSerializer(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(default=OVERLAP_HOURS, min_value=0, max_value=MAX_OVERLAP_HOURS)


class MemberFilter(django_filters.FilterSet):
    role = django_filters.ChoiceFilter(choices=list(ROLES.items()))
    ordering = Ordering({"user__name": "name", "user__email": "email", "role": "role", "created_at": "created"})

    class Meta:
        model = Membership
        fields = ()


class KeyFilter(django_filters.FilterSet):
    project = django_filters.CharFilter("project__slug")
    created_by = django_filters.CharFilter("created_by__email", "iexact", help_text="By the e-mail address.")
    ordering = Ordering({"name": "name", "created_at": "created", "expires_at": "expires"})

    class Meta:
        model = ApiKey
        fields = ()


class Projects(IdempotentMixin, generics.ListCreateAPIView[Project]):
    """The projects that you can see. Making one is for administrators of the installation."""

    request: ApiRequest

    serializer_class = ProjectSerializer

    def get_queryset(self) -> QuerySet[Project]:
        if getattr(self, "swagger_fake_view", False):
            return Project.objects.none()
        return Project.objects.visible_to(self.request.actor)

    def perform_create(self, serializer: serializers.BaseSerializer[Project]) -> None:
        serializer.instance = accounts.create_project(actor=self.request.actor, **serializer.validated_data)


class OneProject(IdempotentMixin, APIView):
    """A project by its slug."""

    @extend_schema(responses=ProjectSerializer)
    def get(self, request: ApiRequest, project: str) -> Response:
        return Response(ProjectSerializer(selectors.get_project(request.actor, project)).data)

    @extend_schema(request=ProjectSerializer(partial=True), responses=ProjectSerializer)
    def patch(self, request: ApiRequest, project: str) -> Response:
        found = selectors.get_project(request.actor, project, "project.edit")
        asked = ProjectSerializer(found, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        named = ("name", "description", "quota_bytes")
        changes = {name: asked.validated_data.get(name, getattr(found, name)) for name in named}
        return Response(ProjectSerializer(accounts.edit_project(actor=request.actor, project=found, **changes)).data)


@extend_schema_view(get=extend_schema(summary="Members of a project"))
class Members(IdempotentMixin, generics.ListAPIView[Membership]):
    """Members and their roles. A POST adds somebody or changes their role; somebody new gets an invitation instead."""

    request: ApiRequest

    serializer_class = MemberSerializer
    filterset_class = MemberFilter
    shown_once = ("invitation",)

    def get_queryset(self) -> QuerySet[Membership]:
        if getattr(self, "swagger_fake_view", False):
            return Membership.objects.none()
        project = selectors.get_project(self.request.actor, self.kwargs["project"])
        return selectors.members(self.request.actor, project)

    @extend_schema(
        request=MemberSerializer,
        responses={200: MemberSerializer, 201: MemberSerializer, 202: InvitedSerializer},
        examples=[OpenApiExample("Add", {"email": "dana@example.com", "role": "data_scientist"}, request_only=True)],
    )
    def post(self, request: ApiRequest, project: str) -> Response:
        found = selectors.get_project(request.actor, project, "member.manage")
        asked = MemberSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        email, role = asked.validated_data["user"]["email"], asked.validated_data["role"]
        member = selectors.members(request.actor, found).filter(user__email__iexact=email).first()
        if member is not None:
            changed = accounts.change_role(actor=request.actor, membership=member, role=role)
            return Response(MemberSerializer(changed).data)
        added = accounts.add_member(actor=request.actor, project=found, email=email, role=role)
        if added.membership is None:
            body = {"email": email, "role": role, "invitation": added.link}
            return Response(body, status=status.HTTP_202_ACCEPTED)
        return Response(MemberSerializer(added.membership).data, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=[OpenApiParameter("email", str, required=True)], responses={204: None})
    def delete(self, request: ApiRequest, project: str) -> Response:
        """Remove the member with ``?email=``."""
        found = selectors.get_project(request.actor, project, "member.manage")
        email = request.query_params.get("email", "")
        member = selectors.members(request.actor, found).filter(user__email__iexact=email).first()
        if member is None:
            raise Missing(_("This person is not a member of the project."))
        accounts.remove_member(actor=request.actor, membership=member)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Keys(IdempotentMixin, generics.ListAPIView[ApiKey]):
    """Keys of the projects whose keys you manage. A new key's text is in the answer to the POST, and nowhere else."""

    request: ApiRequest

    serializer_class = KeySerializer
    filterset_class = KeyFilter
    shown_once = ("key",)

    def get_queryset(self) -> QuerySet[ApiKey]:
        if getattr(self, "swagger_fake_view", False):
            return ApiKey.objects.none()
        return selectors.managed_keys(self.request.actor)

    @extend_schema(
        request=KeySerializer,
        responses={201: IssuedSerializer},
        examples=[OpenApiExample("A key for one endpoint", KEY_EXAMPLE, request_only=True)],
    )
    def post(self, request: ApiRequest) -> Response:
        asked = KeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        project = selectors.get_project(request.actor, values.pop("project")["slug"], "key.manage")
        return _show_once(accounts.issue_key(actor=request.actor, project=project, **values))


class OneKey(IdempotentMixin, APIView):
    """A key by its id, the eight characters after its prefix."""

    @extend_schema(responses={204: None})
    def delete(self, request: ApiRequest, key_id: str) -> Response:
        """Revoke the key for good; gateways stop taking it within five seconds."""
        accounts.revoke_key(actor=request.actor, key=_find_key(request, key_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Rotation(IdempotentMixin, APIView):
    """A new key in the place of one, which is taken for some hours more. The new one's text is in this answer alone."""

    shown_once = ("key",)

    @extend_schema(request=RotationSerializer, responses={201: IssuedSerializer})
    def post(self, request: ApiRequest, key_id: str) -> Response:
        asked = RotationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        issued = accounts.rotate_key(actor=request.actor, key=_find_key(request, key_id), **asked.validated_data)
        return _show_once(issued)


def _find_key(request: ApiRequest, key_id: str) -> ApiKey:
    key = selectors.managed_keys(request.actor).filter(key_id=key_id).first()
    if key is None:
        raise Missing(_("There is no such key for you."))
    return key


def _show_once(issued: accounts.Issued) -> Response:
    body = {"key": issued.text, **KeySerializer(issued.key).data}
    return Response(body, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})
