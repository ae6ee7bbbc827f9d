"""What many do at the same moment is as exact as what one does, on both databases."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.crowd import FITS
from tests.postgresql import serve


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/crowd.sqlite3"
        return
    with serve() as url:
        yield url


def test_fifty_at_once_never_get_more_than_there_is_and_no_bytes_are_lost(database: str, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    environment = {**os.environ, "SLIPWAY_DATABASE_URL": database, "SLIPWAY_HOME": str(tmp_path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.library.crowd"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"reserved": FITS, "bare": 0}
