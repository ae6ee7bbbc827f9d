"""What a run reports, whatever the program does; and that it ends, with everything it started."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines import require_wall
from worker import sandbox
from worker.errors import ToolError
from worker.sandbox import Limits, running
from worker.sandbox.walls import KINDS

SMALL = Limits(memory_bytes=512 << 20, seconds=20, cpu_seconds=20)


@pytest.fixture(params=KINDS)
def wall(request: pytest.FixtureRequest) -> sandbox.Wall:
    return require_wall(request.param)


def run_code(code: str, wall: sandbox.Wall, limits: Limits = SMALL, **options: object) -> sandbox.Outcome:
    return sandbox.run([sys.executable, "-I", "-c", code], wall=wall, limits=limits, **options)  # type: ignore[arg-type]


def test_output_input_and_exit_code_come_back(wall: sandbox.Wall) -> None:
    outcome = run_code("import sys; print(sys.stdin.read()[::-1]); sys.exit(7)", wall, stdin=b"slipway")
    assert (outcome.stdout, outcome.exit_code, outcome.signal, outcome.timed_out) == (b"yawpils\n", 7, None, False)


def test_a_crash_is_an_outcome_with_its_signal(wall: sandbox.Wall) -> None:
    outcome = run_code("import ctypes; ctypes.string_at(0)", wall)
    assert (outcome.exit_code, outcome.signal, outcome.exceeded) == (None, 11, "")


def test_an_abort_is_an_outcome_with_its_signal(wall: sandbox.Wall) -> None:
    assert run_code("import os; os.abort()", wall).signal == 6


def test_a_program_that_hangs_is_ended_at_the_deadline(wall: sandbox.Wall) -> None:
    outcome = run_code("import signal; signal.sigwait([signal.SIGUSR1])", wall, Limits(seconds=0.5))
    assert (outcome.timed_out, outcome.signal, outcome.exceeded) == (True, 9, "time")
    assert outcome.seconds < 2


def test_processor_time_is_limited(wall: sandbox.Wall) -> None:
    outcome = run_code("while True: pass", wall, Limits(seconds=20, cpu_seconds=1))
    assert (outcome.timed_out, outcome.exceeded) == (False, "time")


def test_four_gigabytes_are_not_to_be_had(wall: sandbox.Wall) -> None:
    outcome = run_code("bytearray(4 << 30)", wall)
    assert outcome.exit_code == 1
    assert "MemoryError" in outcome.stderr


def test_peak_memory_is_measured(wall: sandbox.Wall) -> None:
    outcome = run_code("bytearray(b'x' * (100 << 20))", wall)
    assert 100 << 20 < outcome.peak_memory_bytes < 300 << 20


def test_a_second_process_cannot_be_started(wall: sandbox.Wall) -> None:
    outcome = run_code("import os; os.fork()", wall)
    assert outcome.exit_code == 1
    assert "PermissionError" in outcome.stderr


def test_another_program_cannot_be_started_beside_it(wall: sandbox.Wall) -> None:
    outcome = run_code("import subprocess; subprocess.run(['/bin/true'])", wall)
    assert outcome.exit_code == 1
    assert "PermissionError" in outcome.stderr


def test_threads_are_counted(wall: sandbox.Wall) -> None:
    code = "import signal, threading\nfor _ in range(40): threading.Thread(target=signal.pause).start()"
    outcome = run_code(code, wall, Limits(seconds=20, processes=20))
    assert outcome.exceeded == "processes" or "can't start new thread" in outcome.stderr  # the warden, or the kernel


def test_output_is_kept_up_to_its_limits_and_never_blocks(wall: sandbox.Wall) -> None:
    code = "import sys; sys.stdout.write('a' * (3 << 20)); sys.stderr.write('b' * 20000 + 'end')"
    outcome = run_code(code, wall)
    assert (outcome.exit_code, len(outcome.stdout), len(outcome.stderr)) == (0, 1 << 20, 8 << 10)
    assert outcome.stderr.endswith("end")


def test_a_file_cannot_grow_beyond_its_limit(wall: sandbox.Wall, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'big')!r}, 'wb').write(bytes(2 << 20))"
    outcome = run_code(code, wall, Limits(file_bytes=1 << 20), writable=[tmp_path])
    assert outcome.exit_code or outcome.signal
    assert (tmp_path / "big").stat().st_size <= 1 << 20


def test_writable_folders_are_written_for_real(wall: sandbox.Wall, tmp_path: Path) -> None:
    assert run_code(f"open({str(tmp_path / 'out')!r}, 'w').write('x')", wall, writable=[tmp_path]).exit_code == 0
    assert (tmp_path / "out").read_text() == "x"


def test_temporary_files_have_a_place(wall: sandbox.Wall) -> None:
    assert run_code("import tempfile; tempfile.NamedTemporaryFile().write(b'x')", wall).exit_code == 0


def test_readable_paths_may_be_links(wall: sandbox.Wall, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("seen")
    (tmp_path / "link").symlink_to("real")
    outcome = run_code(f"print(open({str(tmp_path / 'link' / 'file')!r}).read())", wall, readable=[tmp_path / "link"])
    assert outcome.stdout == b"seen\n"


def test_numeric_libraries_work_behind_the_wall(wall: sandbox.Wall) -> None:
    code = "import numpy, onnxruntime, sklearn.linear_model as m; print(numpy.ones((9, 9)).dot(numpy.ones(9)).sum())"
    outcome = run_code(code, wall, Limits(seconds=60))
    assert outcome.stdout == b"81.0\n", outcome.stderr


def test_a_program_that_is_not_there_is_named(wall: sandbox.Wall) -> None:
    with pytest.raises(ToolError, match="No such file") as caught:
        sandbox.run(["/nowhere/program"], wall=wall)
    assert caught.value.kind == "sandbox_failed"


def test_signals_stay_inside_where_only_the_call_filter_keeps_them() -> None:
    folder = Path(running.__file__).parent
    code = f"import os, signal, sys; sys.path.insert(0, {str(folder)!r})\n" + SIGNALS
    outcome = sandbox.run([sys.executable, "-I", "-c", code], readable=[folder], limits=SMALL)
    assert (outcome.stdout, outcome.signal) == (b"parent refused\ngroup refused\n", 15), outcome.stderr


SIGNALS = """
from launcher import seccomp
seccomp.install(own_pid=os.getpid(), signals_outside=True)
for name, target in (("parent", os.getppid()), ("group", 0)):
    try:
        os.kill(target, 0)
    except PermissionError:
        print(name, "refused", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_server_accepts_on_its_socket_and_can_make_no_other_connection(
    wall: sandbox.Wall, listener: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    with socket.create_server(("127.0.0.1", 0)) as target:
        line = sandbox.command(
            [sys.executable, "-I", tmp_path / "server.py", str(listener.fileno()), str(target.getsockname()[1])],
            readable=[tmp_path],
            writable=[],
            limits=SMALL,
            env={},
            network_fds=[listener.fileno()],
            wall=wall,
        )
        with subprocess.Popen(line, pass_fds=[listener.fileno()], start_new_session=True) as process:
            with socket.create_connection(listener.getsockname(), timeout=10) as client:
                answer = client.makefile().read()
            process.wait(10)
    assert answer == "accepted connect=refused fastopen=refused rebind=refused"


SERVER = """
import ctypes, os, socket, struct, sys
server = socket.socket(fileno=int(sys.argv[1]))
client, _ = server.accept()
libc = ctypes.CDLL(None)
def refused(call):
    try:
        call()
    except OSError:
        return "refused"
    return "achieved"
def reconnect():  # disconnect the listening socket, which lives in the outer network, and connect it elsewhere
    if libc.connect(server.fileno(), struct.pack("=H14x", 0), 16) < 0:
        raise OSError
    server.connect(("127.0.0.1", int(sys.argv[2])))
def fast_open():
    server.sendto(b"x", 0x20000000, ("127.0.0.1", int(sys.argv[2])))
def rebind():
    server.bind(("127.0.0.1", 0))
answer = f"connect={refused(reconnect)} fastopen={refused(fast_open)} rebind={refused(rebind)}"
client.sendall(f"accepted {answer}".encode())
"""


def test_without_any_wall_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "strongest", lambda: None)
    with pytest.raises(ToolError, match="no sandbox") as caught:
        sandbox.run([sys.executable, "-c", "pass"])
    assert (caught.value.kind, caught.value.permanent) == ("no_sandbox", True)


def test_many_at_once_do_not_close_each_others_descriptors() -> None:
    """A descriptor closed twice belongs to another thread the second time; then somebody waits for ever."""
    quick = Limits(seconds=20.0)
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda n: sandbox.run(["/bin/echo", str(n)], limits=quick), range(24)))
    assert [(o.exit_code, o.stdout, o.timed_out) for o in outcomes] == [
        (0, f"{n}\n".encode(), False) for n in range(24)
    ]
