"""django-allauth's pages for sessions and second factors, each change with its entry in the same transaction."""

from typing import Any

from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.usersessions.views import ListUserSessionsView
from django.db import transaction
from django.http import HttpResponse

from apps.accounts.adapters import note


class _Noted:
    """Mixed into a form view: what the form does is recorded as ``action``, or does not happen."""

    action: str
    request: Any

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        note(self.request, self.request.user, self.action)
        return super().form_valid(form)  # type: ignore[misc]


class Sessions(_Noted, ListUserSessionsView):
    action = "session.others_ended"


class AddSecondFactor(_Noted, ActivateTOTPView):
    action = "second_factor.added"


class RemoveSecondFactor(_Noted, DeactivateTOTPView):
    action = "second_factor.removed"


class RenewRecoveryCodes(_Noted, GenerateRecoveryCodesView):
    action = "recovery_codes.renewed"
