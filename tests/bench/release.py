"""Upload → answering: how long a forest takes from its upload to its first answer through the gateway.

``python -m tests.bench.release`` starts Slipway on free ports with an empty data folder, takes the same model through
twice and prints the seconds of each part: the first time the environment has to be made, the second time it is there.
Goal: under 20 s with the environment in place.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as home:
        os.environ |= {
            "SLIPWAY_HOME": home,
            "SLIPWAY_WEB_PORT": str(free_port()),
            "SLIPWAY_GATEWAY_PORT": str(free_port()),
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        }
        up = subprocess.Popen([sys.executable, "manage.py", "up"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert up.stdout is not None
            while "is ready" not in (line := up.stdout.readline()):
                assert line, "up ended before it was ready"
            # The rest runs in a process of its own: settings are read at import, and now the folder is there.
            subprocess.run([sys.executable, __file__, "measure", home], cwd=ROOT, check=True)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


def measure(home: Path) -> None:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from apps.accounts import services as accounts
    from apps.deployments.models import Deployment
    from controlplane.demo import people, story, traffic

    story.train(home / "demo")
    cast = people.gather()
    key = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="Bench", scopes=["invoke:*"]).text
    endpoint = story.address(cast, "digits", "production")
    rows, labels = traffic.read_samples(home / "demo" / "digits.json")
    url = f"http://127.0.0.1:{os.environ['SLIPWAY_GATEWAY_PORT']}/{cast.project.slug}/digits"
    caller = traffic.Caller(url, "digits", "input", rows, labels)
    print(f"{'':24}{'examined':>10}{'approved':>10}{'live':>10}{'answers':>10}   seconds since the upload began")
    for name in ("environment made", "environment in place"):
        begun = time.monotonic()
        version = story.upload(cast, "digits", home / "demo" / "digits-forest.joblib", "# Card\n\nA forest.")
        until(lambda version=version: story.refreshed(version).state == "ready")
        examined = time.monotonic() - begun
        release = story.propose(cast, version, endpoint, "")
        story.approve(cast, release, "")
        approved = (release.decided_at - version.created_at).total_seconds()
        live = (Deployment.objects.get(release=release).live_at - version.created_at).total_seconds()
        until(lambda: answers(caller, key))
        total = time.monotonic() - begun
        print(f"{name:24}{examined:10.1f}{approved:10.1f}{live:10.1f}{total:10.1f}")
    print(f"goal 20 s with the environment in place: {'met' if total < 20 else 'MISSED'} ({total / 20:.2f} of it)")


def answers(caller: object, key: str) -> bool:
    from controlplane.demo import traffic

    connection = traffic.connect(caller)
    try:
        return bool(traffic.call(caller, key, caller.rows[:1], connection))
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    measure(Path(sys.argv[2])) if sys.argv[1:2] == ["measure"] else main()
