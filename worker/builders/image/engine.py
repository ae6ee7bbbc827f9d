"""The Docker engine that lays packages on the base image. It needs neither the registry nor its password.

It is asked once for each set of packages; what it made is fetched from it and taken away there.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import docker
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig

from worker.builders.base import BuildSettings, Tell
from worker.builders.image.dockerfile import Context
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

_SECONDS = 900  # that the engine may be silent: pip says nothing while it fetches
_CHUNK = 1 << 20
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class BaseImage:
    """What ``FROM`` came to: the digest it has in a registry where it came from one, else the engine's own id of it."""

    name: str
    digest: str


class Engine:
    """One conversation with the build host; use it as a context manager.

    ToolError ``build_host`` where it does not answer, ``packages`` where the build itself fails.
    """

    def __init__(self, settings: BuildSettings) -> None:
        self.host = settings.build_host
        self.settings = settings

    def __enter__(self) -> Self:
        with self._told():
            tls = _tls(Path(self.settings.build_host_certs)) if self.settings.build_host_certs else False
            self._api = docker.APIClient(
                self.host, version="auto", timeout=_SECONDS, tls=tls, use_ssh_client=self.host.startswith("ssh://")
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    @contextlib.contextmanager
    def built(self, context: Context, key: str, tell: Tell) -> Iterator[str]:
        """The id of the image that is built from this context; when the block ends the engine forgets it."""
        image = ""
        try:
            with self._told():
                image = self._build(context, tell)
            yield image
        finally:
            self._forget(image, key)

    def base(self) -> BaseImage:
        """The base image as the engine has it, after a build."""
        with self._told():
            seen = self._api.inspect_image(self.settings.base_image)
        digests = [text.rpartition("@")[2] for text in seen.get("RepoDigests") or ()]
        return BaseImage(self.settings.base_image, digests[0] if digests else seen["Id"])

    def save(self, image: str, path: Path) -> None:
        """The image as the engine exports it (``docker save``)."""
        with path.open("wb") as file:
            for chunk in self._export(image):
                file.write(chunk)

    def _export(self, image: str) -> Iterator[bytes]:
        with self._told():  # not what the reader does with it: a full disk here is no fault of the engine's
            yield from self._api.get_image(image, _CHUNK)

    def _build(self, context: Context, tell: Tell) -> str:
        said = self._api.build(
            fileobj=io.BytesIO(context.as_tar()),
            custom_context=True,
            decode=True,
            rm=True,
            forcerm=True,
            network_mode=self.settings.build_network or None,
            buildargs={name: os.environ[name] for name in _PROXIES if name in os.environ},
        )
        image, lines = "", []
        for record in said:
            image = record.get("aux", {}).get("ID", image)
            for line in _COLOURS.sub("", record.get("stream", "")).splitlines():
                if line.strip():
                    lines.append(line.rstrip())
                    tell(line.rstrip())
            if "error" in record:
                raise _failed(str(record["error"]), lines)
        return image

    def _forget(self, image: str, key: str) -> None:
        """Leave nothing of ours but the base image; what cannot be removed now is removed after the next build."""
        with contextlib.suppress(DockerException, OSError):
            if image:
                self._api.remove_image(image, force=True)
            self._api.prune_images({"dangling": True, "label": [f"slipway.runtime={key}"]})

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            words = gettext_noop("The build host %(host)s refused: %(reason)s.")
            raise self._error(words, str(error.explanation or error), error.is_client_error()) from error
        except (DockerException, OSError) as error:
            words = gettext_noop(
                "The build host %(host)s does not answer: %(reason)s. It is needed once for each set of packages."
                " Check that Docker runs there and that SLIPWAY_BUILD_HOST is its address."
            )
            raise self._error(words, _innermost(error)) from error

    def _error(self, words: str, reason: str, permanent: bool = False) -> ToolError:
        params = {"host": self.host, "reason": reason[:300]}
        return ToolError(Message(words, params), kind="build_host", permanent=permanent)


def _tls(folder: Path) -> TLSConfig:
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)


def _failed(error: str, lines: list[str]) -> ToolError:
    """A build that ended in an error; pip's own words say more than the engine's."""
    telling = [line for line in lines if line.lstrip().startswith(("ERROR", "The base image"))]
    detail = " ".join(telling[-3:] or [error])[:500]
    words = gettext_noop(
        "The packages could not be laid on the base image: %(detail)s. Check SLIPWAY_BASE_IMAGE, the package index and"
        " its certificates (SLIPWAY_INDEX_URL, SLIPWAY_CA_BUNDLE)."
    )
    return ToolError(Message(words, {"detail": detail}), kind="packages", log=(telling or [error])[-1][:500])


def _innermost(error: BaseException) -> str:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
