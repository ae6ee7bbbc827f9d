"""What goes wrong between us and a registry, in words."""

import contextlib
from collections.abc import Iterator

import requests

from worker.errors import ToolError
from worker.specs import Message, gettext_noop


@contextlib.contextmanager
def told(host: str) -> Iterator[None]:
    """Turn an error of the connection into a ToolError: the registry may be there again later."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        words = gettext_noop(
            "The certificate of the registry %(host)s is not trusted: %(reason)s. Name the file of its authority in"
            " SLIPWAY_REGISTRY_CA."
        )
        raise _error(words, "registry_tls", host=host, reason=_reason(error)) from error
    except (requests.exceptions.RequestException, OSError) as error:
        words = gettext_noop(
            "The registry %(host)s does not answer: %(reason)s. Check that it runs and that SLIPWAY_REGISTRY_URL is"
            " its address; it will be tried again."
        )
        raise _error(words, "registry", host=host, reason=_reason(error)) from error


def refusal(host: str, answer: requests.Response) -> ToolError:
    """The error that an unexpected status is; what cannot get better by itself is permanent."""
    reason = f"{answer.status_code} {_detail(answer) or answer.reason}"
    answer.close()
    if answer.status_code in {401, 403}:
        words = gettext_noop(
            "The registry %(host)s does not let us: %(reason)s. Check the user and the password in"
            " SLIPWAY_REGISTRY_URL, and what that user may do there."
        )
        return _error(words, "registry_denied", permanent=True, host=host, reason=reason)
    if answer.status_code == requests.codes.not_found:
        words = gettext_noop("The registry %(host)s does not have it any more: %(reason)s. Propose the version again.")
        return _error(words, "image_missing", permanent=True, host=host, reason=reason)
    words = gettext_noop("The registry %(host)s refused: %(reason)s.")
    is_lasting = 400 <= answer.status_code < 500 and answer.status_code not in {408, 429}
    return _error(words, "registry", permanent=is_lasting, host=host, reason=reason)


def mismatch(host: str, digest: str) -> ToolError:
    words = gettext_noop(
        "The registry %(host)s gives other bytes for %(digest)s than were stored there: somebody or something changed"
        " them. Nothing is started. Find out who can write to the registry, then propose the version again."
    )
    return _error(words, "digest_mismatch", permanent=True, host=host, digest=digest[:19])


def keeps(host: str) -> ToolError:
    words = gettext_noop(
        "The registry %(host)s is set up to delete nothing. Allow it (storage.delete.enabled of the registry's own"
        " configuration), then try again."
    )
    return _error(words, "registry_keeps", permanent=True, host=host)


def too_large(host: str, limit: int) -> ToolError:
    words = gettext_noop("The registry %(host)s sent a document of more than %(mib)s MiB; an image's never is.")
    return _error(words, "registry", permanent=True, host=host, mib=limit >> 20)


def _error(words: str, kind: str, *, permanent: bool = False, **params: object) -> ToolError:
    return ToolError(Message(words, params), kind=kind, permanent=permanent)


def _detail(answer: requests.Response) -> str:
    """The first error of the registry's own list (distribution's error format)."""
    try:
        first = answer.json()["errors"][0]
        return f"{first.get('code', '')} {first.get('message', '')}".strip()[:300]
    except (ValueError, LookupError, AttributeError, TypeError):
        return ""


def _reason(error: Exception) -> str:
    """The innermost cause: the outer ones only wrap it."""
    innermost: BaseException = error
    while (inner := innermost.__cause__ or innermost.__context__) is not None:
        innermost = inner
    return (str(innermost) or type(innermost).__name__)[:300]
