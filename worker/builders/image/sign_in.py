"""How a registry lets us in: by password with each request, or by a token that another address gives for it.

The challenge of a 401 says which (RFC 7235; the token protocol is ``distribution``'s ``spec/auth/token.md``).
"""

import base64
import re
from urllib.parse import urlsplit

import requests

from worker.errors import ToolError
from worker.specs import Message, RegistryAccess, gettext_noop

_NO_TOKEN = gettext_noop(
    "%(place)s gives no token for the registry: %(reason)s. Check the user and the password in SLIPWAY_REGISTRY_URL."
)
_PLAIN = gettext_noop(
    "The registry sends us to %(place)s for a token, where the password would go over plain HTTP. It was not sent."
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


def answer_challenge(challenge: str, access: RegistryAccess, session: requests.Session, *, timeout: float) -> str:
    """The ``Authorization`` header that this challenge asks for; empty where we have nothing to show.

    ToolError ``registry_denied`` (permanent) where the token's address does not give us one.
    """
    scheme, _space, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and access.username:
        return _basic(access)
    if scheme.lower() == "bearer":
        return f"Bearer {_fetch_token(dict(_PARAMETER.findall(rest)), access, session, timeout)}"
    return ""


def _basic(access: RegistryAccess) -> str:
    return "Basic " + base64.b64encode(f"{access.username}:{access.password}".encode()).decode()


def _fetch_token(wanted: dict[str, str], access: RegistryAccess, session: requests.Session, timeout: float) -> str:
    realm = wanted.get("realm", "")
    if urlsplit(realm).scheme != "https" and urlsplit(access.url).scheme == "https":
        raise _denied(_PLAIN, urlsplit(realm).netloc)
    answer = session.get(
        realm,
        params=[("service", wanted.get("service", "")), *(("scope", scope) for scope in _scopes(wanted))],
        headers={"Authorization": _basic(access)} if access.username else {},
        timeout=timeout,
        verify=access.ca_file or True,
        allow_redirects=False,
    )
    token = _token_in(answer)
    if not token:
        raise _denied(_NO_TOKEN, urlsplit(realm).netloc, f"{answer.status_code} {answer.reason}")
    return token


def _scopes(wanted: dict[str, str]) -> list[str]:
    return wanted.get("scope", "").split()


def _token_in(answer: requests.Response) -> str:
    if answer.status_code != requests.codes.ok:
        return ""
    try:
        said = answer.json()
        return str(said.get("token") or said.get("access_token") or "")
    except (ValueError, AttributeError):
        return ""


def _denied(words: str, place: str, reason: str = "") -> ToolError:
    params = {"place": place, "reason": reason}
    return ToolError(Message(words, params), kind="registry_denied", permanent=True)
