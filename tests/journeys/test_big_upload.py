"""Dana uploads a large file over a bad line: three cuts, a server that is killed, and a page that is loaded again."""

import hashlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.controlplane.running import wait_until
from tests.fault_proxy import FaultProxy
from tests.journeys import steps
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor

SIZE = int(os.environ.get("SLIPWAY_TEST_UPLOAD_BYTES", 1 << 30))
BLOCK = 1 << 20
CHUNK = 64 << 20  # of the page: what may be sent twice
ARRIVED_SECONDS = 240.0


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[Path]:
    """A file that no two mebibytes of are alike."""
    path, block = tmp_path / "large-model.bin", os.urandom(BLOCK)
    with path.open("wb") as file:
        for number in range(SIZE // BLOCK):
            file.write(number.to_bytes(8, "big") + block[8:])
    yield path
    path.unlink()


def test_a_large_file_arrives_whole_over_a_bad_line(
    far_dana: Visitor, slipway: Stack, proxy: FaultProxy, weights: Path
) -> None:
    idle = memory_of_web(slipway)
    far_dana.go(f"{steps.ROOM}/upload/")
    begun = proxy.sent_up
    proxy.cut_at = [begun + SIZE // 10, begun + SIZE * 4 // 10]
    line = far_dana.page.locator("[data-files] li")
    with watched(slipway) as sizes:
        far_dana.page.set_input_files("#upload-files", weights)
        wait_for_bytes(proxy, begun + SIZE * 2 // 10, far_dana)
        kill_web(slipway)
        expect(line).to_contain_text("waiting for the network, goes on by itself")
        expect(line).to_have_attribute("data-state", "sending")
        wait_for_bytes(proxy, begun + SIZE * 5 // 10, far_dana)

        far_dana.page.reload()
        offer = far_dana.page.locator("[data-unfinished] li")
        expect(offer).to_contain_text("Not finished last time: large-model.bin")
        far_dana.page.set_input_files("#upload-files", weights)
        expect(offer).to_have_count(0)
        proxy.cut_at = [proxy.sent_up + SIZE // 5]
        expect(line).to_have_attribute("data-state", "done", timeout=ARRIVED_SECONDS * 1000)

    assert (proxy.cuts, proxy.cut_at) == (3, [])
    assert proxy.sent_up - begun - SIZE < 5 * CHUNK  # three cuts, a kill and a reload, none worth more than a chunk
    print(f"\nweb server: idle {idle / 1e6:.0f} MB, at most {max(sizes) / 1e6:.0f} MB in {len(sizes)} looks")
    assert max(sizes) - idle < 100 << 20
    assert list((slipway.home / "uploads").iterdir()) == []
    expect_kept(far_dana, slipway, weights)


def test_another_file_of_the_same_name_and_size_is_never_glued_on(dana: Visitor, tmp_path: Path) -> None:
    path, first, second = tmp_path / "harbour.bin", os.urandom(3 << 20), os.urandom(3 << 20)
    path.write_bytes(first)
    dana.go(f"{steps.ROOM}/upload/")
    line, offer = dana.page.locator("[data-files] li"), dana.page.locator("[data-unfinished] li")
    uploads = "**/api/v1/uploads/*/"
    dana.page.route(uploads, lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())
    dana.page.set_input_files("#upload-files", path)
    expect(line).to_contain_text("waiting for the network, goes on by itself")
    dana.page.unroute(uploads)
    path.write_bytes(second)
    dana.page.reload()
    for number, content in enumerate((second, first)):
        expect(offer).to_have_count(1)
        path.write_bytes(content)
        dana.page.set_input_files("#upload-files", path)
        expect(line).to_have_attribute("data-state", "done")
        if number == 0:
            line.get_by_role("button", name="Remove").click()
    expect(offer).to_have_count(0)


def test_a_folder_keeps_its_names_dropped_or_chosen(dana: Visitor, tmp_path: Path) -> None:
    folder = tmp_path / "tide-model"
    (folder / "data").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("MLmodel", "data/model.pkl", ".git/HEAD", ".DS_Store"):
        (folder / name).write_bytes(b"not looked into here")
    (folder / "data" / "__init__.py").touch()
    dana.go(f"{steps.ROOM}/upload/")
    names = dana.page.locator("[data-files] [data-state=done] [data-name]")
    for bring in (drop_folder, choose_folder):
        dana.page.reload()
        bring(dana, folder)
        expect(names).to_have_count(2)
        assert set(names.all_text_contents()) == {"tide-model/MLmodel", "tide-model/data/model.pkl"}
        expect(dana.page.get_by_label("Model", exact=True)).to_have_value("tide-model")


def drop_folder(dana: Visitor, folder: Path) -> None:
    """As from a file manager: the browser itself reads the folder."""
    zone = dana.page.locator("[data-drop]").bounding_box()
    assert zone
    devtools = dana.context.new_cdp_session(dana.page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for deed in ("dragEnter", "dragOver", "drop"):
        place = {"x": zone["x"] + 40, "y": zone["y"] + 40}
        devtools.send("Input.dispatchDragEvent", {"type": deed, **place, "data": data})
    devtools.detach()


def choose_folder(dana: Visitor, folder: Path) -> None:
    dana.page.set_input_files("#upload-folder", folder)


def expect_kept(dana: Visitor, slipway: Stack, weights: Path) -> None:
    """The version's page names the digest, and the store holds exactly the bytes that were sent."""
    dana.press("Create version")
    expect(dana.page.locator("#version-state")).to_be_visible()
    dana.go(f"{dana.path}tab/files/")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    expect(dana.page.locator(f"[title='{digest}']")).to_be_visible()
    kept = slipway.home / "artifacts" / "sha256" / digest[:2] / digest
    with kept.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest


def wait_for_bytes(proxy: FaultProxy, count: int, dana: Visitor) -> None:
    """Until so many bytes went up; the browser is listened to meanwhile."""

    def has_come() -> bool:
        dana.page.wait_for_timeout(20)
        return proxy.sent_up >= count

    wait_until(has_come, ARRIVED_SECONDS, what=f"{count} bytes sent")


@contextmanager
def watched(slipway: Stack) -> Iterator[list[int]]:
    """What the web server takes, looked at all the time while the block runs, and once more at its end."""
    sizes: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.1):
            with suppress(OSError, IndexError):  # it is away just now
                sizes.append(memory_of_web(slipway))

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield sizes
        sizes.append(memory_of_web(slipway))
    finally:
        is_over.set()
        thread.join()


def kill_web(slipway: Stack) -> None:
    """Without a goodbye; the supervisor starts it again."""
    for pid in find_processes(slipway):
        os.kill(pid, signal.SIGKILL)


def memory_of_web(slipway: Stack) -> int:
    """Bytes that the web server and its worker process take, shared pages counted once."""
    return sum(map(read_bytes, find_processes(slipway)))


def read_bytes(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def find_processes(slipway: Stack) -> list[int]:
    """The process that the supervisor started last as the web server, and its children."""
    log = (slipway.home / "logs" / "supervisor.log").read_text()
    parent = int(re.findall(r"spawned: 'web' with pid (\d+)", log)[-1])
    return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]
