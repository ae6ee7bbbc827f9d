"""A client of the Docker Registry HTTP API v2 (OCI distribution): blobs, manifests, tags; everything by digest.

What the registry sends is hostile until its digest has been checked: nothing is returned that does not have the digest
it was asked for by.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests

from worker.builders.image import answers
from worker.builders.image.access import parse_address
from worker.builders.image.sign_in import answer_challenge
from worker.specs import RegistryAccess

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20
_LARGEST_DOCUMENT = 8 << 20  # bytes of a manifest or a config
_QUICK, _PATIENT = (5.0, 30.0), (5.0, 900.0)  # seconds to connect and to wait; a registry hashes what it was sent
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(frozen=True)
class Blob:
    """Bytes by digest: how many, and how to read them (again and again, always the same)."""

    digest: str  # sha256:…
    size: int
    read: Callable[[], Iterator[bytes]]


def blob_of(data: bytes) -> Blob:
    return Blob(digest_of(data), len(data), lambda: iter((data,)))


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class RegistryClient:
    """One conversation with one registry; use it as a context manager.

    Every method raises ToolError: ``registry`` where the registry does not answer or cannot, ``registry_tls`` where its
    certificate is not trusted, ``registry_denied`` where it does not let us.
    """

    def __init__(self, access: RegistryAccess) -> None:
        self.access = access
        self.address = parse_address(access)
        self._base = f"{self.address.scheme}://{self.address.host}/v2/"
        self._session = requests.Session()
        self._authorization = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def blob_size(self, repository: str, digest: str) -> int | None:
        """How many bytes a blob has there; None where it is not."""
        answer = self._send("HEAD", f"{repository}/blobs/{digest}", accepted={200, 404})
        return int(answer.headers.get("Content-Length", 0)) if answer.ok else None

    def read_blob(self, repository: str, digest: str) -> bytes:
        """A small blob, such as a config; ToolError ``digest_mismatch`` where its bytes are others."""
        data = b"".join(self.stream_blob(repository, digest, _LARGEST_DOCUMENT))
        if digest_of(data) != digest:
            raise answers.mismatch(self.address.host, digest)
        return data

    def check_blob(self, repository: str, digest: str) -> None:
        """Read a blob of any size; ToolError ``digest_mismatch`` where its bytes are others."""
        seen = hashlib.sha256()
        for chunk in self.stream_blob(repository, digest):
            seen.update(chunk)
        if f"sha256:{seen.hexdigest()}" != digest:
            raise answers.mismatch(self.address.host, digest)

    def stream_blob(self, repository: str, digest: str, limit: int | None = None) -> Iterator[bytes]:
        """A blob's bytes as they come, unchecked: for whoever checks them itself."""
        answer = self._send("GET", f"{repository}/blobs/{digest}", accepted={200}, streams=True)
        return _limited(answer, limit, self.address.host)

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Make a blob of one repository one of another's too, without moving a byte; False where that is not possible.

        A registry that will not do it has opened an upload instead, which is taken back.
        """
        params = {"mount": digest, "from": source}
        answer = self._send("POST", f"{repository}/blobs/uploads/", params=params, accepted={201, 202})
        if answer.status_code == requests.codes.created:
            return True
        self._send("DELETE", self._upload_url(answer), accepted={204, 404, 405})
        return False

    def upload_blob(self, repository: str, blob: Blob) -> bool:
        """Bring a blob unless it is there already; whether it had to be brought."""
        if self.blob_size(repository, blob.digest) is not None:
            return False
        opened = self._send("POST", f"{repository}/blobs/uploads/", accepted={202})
        url = self._upload_url(opened)
        self._send("PUT", url, params={"digest": blob.digest}, body=blob, accepted={201}, timeout=_PATIENT)
        return True

    def get_manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        """The manifest's bytes and digest, by tag or by digest; None where there is none.

        ToolError ``digest_mismatch`` where it was asked for by digest and is another.
        """
        answer = self._send(
            "GET",
            f"{repository}/manifests/{reference}",
            headers={"Accept": MANIFEST},
            accepted={200, 404},
            streams=True,
        )
        if not answer.ok:
            return None
        data = b"".join(_limited(answer, _LARGEST_DOCUMENT, self.address.host))
        found = digest_of(data)
        if reference.startswith("sha256:") and reference != found:
            raise answers.mismatch(self.address.host, reference)
        return data, found

    def put_manifest(self, repository: str, reference: str, manifest: bytes) -> str:
        """Store a manifest under a tag; its digest."""
        blob = blob_of(manifest)
        path = f"{repository}/manifests/{reference}"
        self._send("PUT", path, headers={"Content-Type": MANIFEST}, body=blob, accepted={200, 201})
        return blob.digest

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Remove an image with all its tags; False where it was gone. Its bytes go with the registry's next collection.

        ToolError ``registry_keeps`` (permanent) where the registry is set up not to delete.
        """
        answer = self._send("DELETE", f"{repository}/manifests/{digest}", accepted={200, 202, 404, 405})
        if answer.status_code == requests.codes.not_allowed:
            raise answers.keeps(self.address.host)
        return answer.ok

    def tags(self, repository: str) -> Iterator[str]:
        """The tags of a repository, page by page; none where it does not exist."""
        url = f"{repository}/tags/list?n=500"
        while url:
            answer = self._send("GET", url, accepted={200, 404})
            with answers.told(self.address.host):  # what it says may be no JSON
                names = (answer.json().get("tags") or ()) if answer.ok else ()
            yield from names
            following = _NEXT.search(answer.headers.get("Link", ""))
            url = urljoin(answer.url, following[1]) if following else ""

    def _upload_url(self, answer: requests.Response) -> str:
        return urljoin(answer.url, answer.headers.get("Location", ""))

    def _send(
        self,
        method: str,
        path: str,
        *,
        accepted: set[int],
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        body: Blob | None = None,
        streams: bool = False,
        timeout: tuple[float, float] = _QUICK,
    ) -> requests.Response:
        """Send once, and once more when the registry first wants to know who we are."""
        url = urljoin(self._base, path)
        words: dict[str, Any] = {"params": params, "stream": streams, "timeout": timeout}
        with answers.told(self.address.host):
            answer = self._once(method, url, headers, body, words)
            if answer.status_code == requests.codes.unauthorized and self._sign_in(answer):
                answer = self._once(method, url, headers, body, words)
        if answer.status_code not in accepted:
            raise answers.refusal(self.address.host, answer)
        return answer

    def _once(
        self, method: str, url: str, headers: dict[str, str] | None, body: Blob | None, words: dict[str, Any]
    ) -> requests.Response:
        sent = {"User-Agent": "Slipway", **(headers or {})}
        if self._authorization and urlsplit(url).netloc == self.address.host:
            sent["Authorization"] = self._authorization
        data = _Body(body) if body else None
        # Named with every request: the environment's own bundle would win over the session's.
        verify = self.access.ca_file or True
        return self._session.request(method, url, headers=sent, data=data, verify=verify, **words)

    def _sign_in(self, answer: requests.Response) -> bool:
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
        self._authorization = answer_challenge(challenge, self.access, self._session, timeout=_QUICK[1])
        return bool(self._authorization)


class _Body:
    """A request's body that is read as it is sent; its length is known before."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob

    def __len__(self) -> int:
        return self._blob.size

    def __iter__(self) -> Iterator[bytes]:
        return self._blob.read()


def _limited(answer: requests.Response, limit: int | None, host: str) -> Iterator[bytes]:
    """The answer's bytes as they come; ToolError where they are more than ``limit`` or end early."""
    seen = 0
    with answers.told(host), answer:
        for chunk in answer.iter_content(_CHUNK):
            seen += len(chunk)
            if limit is not None and seen > limit:
                raise answers.too_large(host, limit)
            yield chunk
