"""What people do on a running stack, in a process that belongs to it: ``python -m tests.faults.scene``.

First a release of two replicas that answers, then one more for each line that is read; a line of JSON when it is live.
"""

import json
import os
import sys
from pathlib import Path

import django
import onnx

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from apps.accounts import services as accounts  # noqa: E402
from controlplane.demo import people, story  # noqa: E402
from tests.journeys.model_files import doubling  # noqa: E402

SCOPES = ["invoke:*", "read"]


def main() -> None:
    cast = people.gather()
    ada, project = cast.actor("ada"), cast.project
    key = accounts.issue_key(actor=ada, project=project, name="Callers", scopes=SCOPES, rate_per_minute=600_000)
    endpoint = story.address(cast, "double", "production")
    factor = 2.0
    while True:
        path = Path(settings.SLIPWAY_HOME) / "model.onnx"
        onnx.save(doubling(factor), path)
        version = story.upload(cast, "double", path, "# Multiplies\n\nBy a number.\n")
        release = story.propose(cast, version, endpoint, "As it should be", replicas=2)
        deployment = story.approve(cast, release, "Fine.")
        print(json.dumps({"key": key.text, "deployment": deployment.pk, "factor": factor}), flush=True)
        connection.close()  # the database may be restarted meanwhile
        if not sys.stdin.readline():
            break
        factor += 1.0


if __name__ == "__main__":
    main()
