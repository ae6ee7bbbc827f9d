"""People at their browsers, and everything that no page may do while they are there."""

import base64
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Request, Response, TimeoutError, WebError

from tests.journeys import deadlines

OPTIONS = [
    "--no-sandbox",  # the tests may run as root, where Chromium refuses its own sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# What the console says of any 4xx; answers are judged below
REFUSED = ("Failed to load resource", "Response Status Error Code 4")
AS_FILES = """files => {
  const transfer = new DataTransfer();
  for (const { name, content } of files) {
    transfer.items.add(new File([Uint8Array.from(atob(content), (char) => char.charCodeAt(0))], name));
  }
  return transfer;
}"""


class Visitor:
    """One person in a browser session of their own.

    ``troubles`` collects what no page may cause: errors and policy violations in the console, scripts that fail,
    questions by ``alert``, answers of 5xx, files of our own pages that are missing, requests to any other host.
    """

    def __init__(self, browser: Browser, web: str, name: str, email: str) -> None:
        self.name, self.email, self.password = name, email, f"{name} walks along the quay"
        self.web = web
        self.troubles: list[str] = []
        self.host = urlsplit(web).netloc
        self.context = browser.new_context(
            base_url=web, viewport={"width": 1440, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin"
        )
        self.context.set_default_timeout(deadlines.PAGE * 1000)
        self.context.on("console", self._hear)
        self.context.on("weberror", self._see_error)
        self.context.on("request", self._see_request)
        self.context.on("response", self._see_response)
        self.context.on("dialog", self._see_dialog)
        self.page = self.context.new_page()

    def go(self, path: str) -> int:
        """Open an address; the answer's status."""
        answer = self.page.goto(path)
        assert answer is not None, path
        return answer.status

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def fill(self, values: dict[str, str]) -> None:
        """Fields by their label."""
        for label, value in values.items():
            self.page.get_by_label(label).fill(value)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def read(self, part: Locator) -> str:
        """The text of a part of the page; where it does not come, the failure tells what the page shows instead."""
        try:
            text = part.text_content()
        except TimeoutError as missing:
            shown = self.page.locator("body").inner_text()[:2000]
            raise AssertionError(f"{self.page.url} shows:\n{shown}\n{self.troubles}") from missing
        assert text
        return text

    def drop(self, *files: Path) -> None:
        """Drop files on the page's drop zone, as from a file manager."""
        named = [{"name": file.name, "content": base64.b64encode(file.read_bytes()).decode()} for file in files]
        transfer = self.page.evaluate_handle(AS_FILES, named)
        self.page.dispatch_event("[data-drop]", "drop", {"dataTransfer": transfer})

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(REFUSED):
            self._note(f"console: {message.text}")

    def _see_error(self, error: WebError) -> None:
        self._note(f"script: {error.error}")

    def _see_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != self.host:
            self._note(f"request to another host: {request.url}")

    def _see_response(self, response: Response) -> None:
        is_page = response.request.resource_type in {"document", "xhr", "fetch"}
        if response.status >= 500 or (response.status >= 400 and not is_page):
            self._note(f"{response.status} for {response.request.method} {response.url}")

    def _see_dialog(self, dialog: Dialog) -> None:
        if dialog.type in {"confirm", "beforeunload"}:
            dialog.accept()
        else:
            self._note(f"{dialog.type}: {dialog.message}")
            dialog.dismiss()

    def _note(self, what: str) -> None:
        self.troubles.append(f"{self.name} at {self.page.url}: {what}")
