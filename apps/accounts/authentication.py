"""Who calls the API: a browser session with CSRF, or a key as a bearer token. Both become ``request.actor``."""

from copy import copy
from datetime import timedelta

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from apps.accounts.actors import actor_for_key
from apps.accounts.middleware import actor_of_session, client_ip, request_id
from apps.accounts.models import ApiKey, User
from apps.core.errors import TooMany
from apps.core.keys import matches, parse
from apps.core.limits import take_turn
from apps.core.networks import is_within, network_of, read_networks
from apps.core.prepared import Prepared

LAST_USED_EVERY = timedelta(minutes=1)
_BY_KEY_ID = Prepared(
    lambda key_id: ApiKey.objects.select_related("created_by").filter(key_id=key_id).order_by(), key_id=""
)


class SessionAuthentication(authentication.SessionAuthentication):
    """DRF's own, which demands the CSRF token (in its header) on unsafe calls; sets ``request.actor``."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found = super().authenticate(request)
        if found:
            request.actor = actor_of_session(request._request, found[0])  # type: ignore[attr-defined]
        return found

    def enforce_csrf(self, request: Request) -> None:
        """By the header alone: to look for a field, the whole body would be read before anybody has measured it."""
        without_body = copy(request._request)
        without_body.POST = QueryDict()  # type: ignore[assignment]
        super().enforce_csrf(without_body)  # type: ignore[arg-type]


class KeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer slw_…``; wrong, revoked and expired keys are told apart by nobody."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        address = client_ip(request._request)
        key = find_key(token.strip(), address)
        if key is None:
            raise exceptions.AuthenticationFailed(_("This key is not valid."))
        actor = actor_for_key(key, request_id=request_id(), ip=address)
        request.actor = actor  # type: ignore[attr-defined]
        return key.created_by, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find_key(token: str, address: str = "") -> ApiKey | None:
    """The live key behind a token, compared in constant time, for a caller from this address.

    Notes its use at most once a minute. TooMany once too many wrong ones came from its address:
    one that is right always passes, as at the gateway.
    """
    key = _find(token, address)
    if key is None:
        if wait := take_turn("wrong-keys", network_of(address), settings.SLIPWAY_WRONG_KEYS_PER_MINUTE):
            raise TooMany(_("Too many wrong keys came from this address."), retry_after=wait)
    elif key.last_used_at is None or timezone.now() - key.last_used_at > LAST_USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    return key


def _find(token: str, address: str) -> ApiKey | None:
    parsed = parse(token)
    row: ApiKey | None = _BY_KEY_ID.first(key_id=parsed.key_id) if parsed else None
    digest = bytes(row.digest) if row else None
    if not matches(settings.SLIPWAY_PEPPERS, parsed.secret if parsed else "", digest) or row is None:
        return None
    if row.revoked_at or row.disabled_at or row.expires_at <= timezone.now() or not row.created_by.is_active:
        return None
    is_elsewhere = row.networks and not is_within(read_networks(row.networks), address)
    return None if is_elsewhere else row


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, e.g. slw_ci_…"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
