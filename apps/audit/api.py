"""The API of the log: entries as far as the caller may read them, and the export."""

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.views import APIView

from apps.audit import selectors
from apps.audit.forms import FilterForm
from apps.audit.models import Entry
from apps.core.errors import Invalid
from apps.core.web import ApiRequest

PROJECT = OpenApiParameter("project", str, description="A project's slug; without it, all that you may read.")
FILTERS = [
    PROJECT,
    *(OpenApiParameter(name, str) for name in ("actor", "action", "thing", "object_id", "text")),
    *(OpenApiParameter(name, OpenApiTypes.DATE) for name in ("since", "until")),
]


class EntrySerializer(serializers.ModelSerializer[Entry]):
    project = serializers.CharField(source="project.slug", default=None)
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields = (
            "seq",
            "at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "ip",
            "request_id",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "project",
            "before",
            "after",
            "reason",
            "previous",
            "hash",
        )

    def get_before(self, entry: Entry) -> dict[str, Any] | None:
        return json.loads(entry.before) if entry.before else None

    def get_after(self, entry: Entry) -> dict[str, Any] | None:
        return json.loads(entry.after) if entry.after else None


@extend_schema(parameters=FILTERS)
class Entries(generics.ListAPIView[Entry]):
    """Who did what, newest first."""

    request: ApiRequest

    serializer_class = EntrySerializer

    def get_queryset(self) -> QuerySet[Entry]:
        if getattr(self, "swagger_fake_view", False):
            return Entry.objects.none()
        form = FilterForm(self.request.query_params)
        if not form.is_valid():
            raise Invalid(_("Some filters are not right."), errors=form.errors)
        rows = selectors.entries(self.request.actor, _project(self.request, "audit.view"))
        return selectors.narrow(rows, form.cleaned_data).order_by("-seq")


class Export(APIView):
    """The log as JSON lines, oldest first, to be kept elsewhere and checked with ``apps/audit/verifier.py``."""

    @extend_schema(
        parameters=[PROJECT],
        responses={
            (200, "application/jsonl"): OpenApiResponse(OpenApiTypes.STR, "One entry a line, then the signed manifest.")
        },
    )
    def get(self, request: ApiRequest) -> HttpResponseBase:
        project = _project(request, "audit.export")
        lines = selectors.export_lines(request.actor, project)
        name = f"audit-{project.slug if project else 'all'}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type="application/jsonl", headers=headers)


def _project(request: ApiRequest, permission: str) -> Any:
    slug = request.query_params.get("project", "")
    return selectors.get_project(request.actor, slug, permission) if slug else None
