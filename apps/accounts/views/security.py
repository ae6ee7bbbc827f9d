"""django-allauth's pages for sessions and second factors, each change with its entry in the same transaction."""

from typing import Any

from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.accounts.adapters import note
from apps.core.errors import Missing


class _Noted:
    """Mixed into a form view: what the form does is recorded as ``action``, or does not happen."""

    action: str
    request: Any

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        note(self.request, self.request.user, self.action)
        return super().form_valid(form)  # type: ignore[misc]


class Sessions(_Noted, ListUserSessionsView):
    """Where somebody is signed in. A POST ends the one that it names, else all others."""

    action = "session.others_ended"

    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._end(request.POST["session"]) if "session" in request.POST else super().post(request)

    @transaction.atomic
    def _end(self, pk: str) -> HttpResponse:
        row = UserSession.objects.filter(user=self.request.user, pk=pk if pk.isdecimal() else None).first()
        if row is None or row.is_current():
            raise Missing(_("There is no such other session of yours."))
        row.end()
        note(self.request, self.request.user, "session.other_ended", ip=row.ip)
        messages.success(self.request, _("It is ended: whoever used it has to sign in again."))
        return redirect("usersessions_list")


class AddSecondFactor(_Noted, ActivateTOTPView):
    action = "second_factor.added"


class RemoveSecondFactor(_Noted, DeactivateTOTPView):
    action = "second_factor.removed"


class RenewRecoveryCodes(_Noted, GenerateRecoveryCodesView):
    action = "recovery_codes.renewed"
