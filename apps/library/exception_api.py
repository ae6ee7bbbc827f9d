"""Exceptions over HTTP: ask, look, decide, revoke. Deciding is for people; a key can only look."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Missing
from apps.library import services
from apps.library.api import LibraryView
from apps.library.exceptions import get_exception, list_exceptions
from apps.library.models import ExceptionReview, SafetyException

SHOWN = 200


class ExceptionReviewOut(serializers.ModelSerializer):
    reviewer = serializers.CharField(source="reviewer.email", read_only=True)

    class Meta:
        model = ExceptionReview
        fields = ["reviewer", "is_administrator", "decision", "note", "created_at"]


class ExceptionOut(serializers.ModelSerializer):
    """An exception with the names it is about; ``subject`` is what an approval has to repeat."""

    model = serializers.CharField(source="version.model.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    names = serializers.SerializerMethodField()
    asked_by = serializers.CharField(source="asked_by.email", read_only=True)
    reviews = ExceptionReviewOut(many=True, read_only=True)

    class Meta:
        model = SafetyException
        fields = [
            "id",
            "model",
            "version",
            "state",
            "digest",
            "names",
            "subject",
            "reason",
            "asked_by",
            "created_at",
            "decided_at",
            "reviews",
        ]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_names(self, exception: SafetyException) -> list[str]:
        return list(exception.names)


class AskIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=10_000, help_text="Why this very file is needed.")


class ExceptionDecisionIn(serializers.Serializer[Any]):
    subject = serializers.CharField(min_length=64, max_length=64)
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class RevocationIn(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class ExceptionView(LibraryView):
    """What the addresses of one exception begin with."""

    def get_exception(self) -> SafetyException:
        found = get_exception(self.actor, self.project, self.kwargs["pk"])
        if found is None:
            raise Missing(_("There is no exception #%(pk)s in this project.") % {"pk": self.kwargs["pk"]})
        return found

    def shown(self, exception: SafetyException, code: int = status.HTTP_200_OK) -> Response:
        again = get_exception(self.actor, self.project, exception.pk)
        return Response(ExceptionOut(again).data, status=code)


class Exceptions(ExceptionView):
    @extend_schema(operation_id="exceptions_list", summary="Exceptions of a project", responses=ExceptionOut(many=True))
    def get(self, request: Request, project: str) -> Response:
        return Response(ExceptionOut(list_exceptions(self.actor, self.project)[:SHOWN], many=True).data)


class ExceptionDetail(ExceptionView):
    @extend_schema(operation_id="exceptions_read", summary="One exception", responses=ExceptionOut)
    def get(self, request: Request, project: str, pk: int) -> Response:
        return self.shown(self.get_exception())


class AskException(ExceptionView):
    @extend_schema(
        operation_id="exceptions_ask",
        summary="Ask for an exception",
        description=(
            "For a version that was refused for names beyond the list of known parts; its safety check lists them "
            "under `details.exception`."
        ),
        request=AskIn,
        responses={201: ExceptionOut},
    )
    def post(self, request: Request, project: str, model: str, number: int) -> Response:
        wanted = AskIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = services.ask_exception(actor=self.actor, version=self.get_version(), **wanted.validated_data)
        return self.shown(made, status.HTTP_201_CREATED)


class ApproveException(ExceptionView):
    @extend_schema(
        operation_id="exceptions_approve",
        summary="Approve exactly these names for exactly these files",
        request=ExceptionDecisionIn,
        responses=ExceptionOut,
    )
    def post(self, request: Request, project: str, pk: int) -> Response:
        wanted = ExceptionDecisionIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = self.get_exception()
        return self.shown(services.approve_exception(actor=self.actor, exception=row, **wanted.validated_data))


class RejectException(ExceptionView):
    @extend_schema(
        operation_id="exceptions_reject",
        summary="Reject, saying why",
        request=ExceptionDecisionIn,
        responses=ExceptionOut,
    )
    def post(self, request: Request, project: str, pk: int) -> Response:
        wanted = ExceptionDecisionIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = self.get_exception()
        return self.shown(services.reject_exception(actor=self.actor, exception=row, **wanted.validated_data))


class RevokeException(ExceptionView):
    @extend_schema(
        operation_id="exceptions_revoke",
        summary="Take a granted exception back",
        request=RevocationIn,
        responses=ExceptionOut,
    )
    def post(self, request: Request, project: str, pk: int) -> Response:
        wanted = RevocationIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = self.get_exception()
        return self.shown(services.revoke_exception(actor=self.actor, exception=row, **wanted.validated_data))
