"""How sign-in behaves here: nobody registers by themselves, and what happens to credentials stands in the audit log."""

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest

from apps.accounts.actors import actor_for_user
from apps.accounts.middleware import client_ip, request_id
from apps.accounts.models import User
from apps.audit.services import record

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)

    @transaction.atomic
    def set_password(self, user: User, password: str) -> None:
        """A new password, whether changed or reset; never without its entry."""
        super().set_password(user, password)
        note(self.request, user, "password.changed")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Wrong passwords go to the log, not to the chain: strangers must not be able to make it grow."""
        log.warning("sign_in_failed", ip=client_ip(request), account=str(credentials.get("email", ""))[:200])


@transaction.atomic
def note(request: HttpRequest, user: User, action: str, **after: Any) -> None:
    """Record what somebody did to their own account or session."""
    actor = actor_for_user(user, request_id=request_id(), ip=client_ip(request))
    record(actor, action, user, after=after or None)
