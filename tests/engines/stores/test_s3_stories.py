"""Uploads, downloads and pruning with the artifacts in a real S3 service: the library's own stories, told again."""

from pathlib import Path
from typing import Any

import pytest

from apps.library.store import Store
from tests.library.conftest import api, browser, digits, own_disk, upload_version  # noqa: F401 - fixtures
from tests.library.test_deletions import (  # noqa: F401
    refused,
    test_bytes_go_when_the_last_version_with_them_has_gone,
    test_bytes_that_no_row_knows_are_found,
    test_what_was_brought_lately_stays,
)
from tests.library.test_downloads import (  # noqa: F401
    dana,
    kept,
    test_a_download_goes_on_where_it_broke_off,
    test_an_archive_proves_itself_offline,
    test_one_file_is_sent_as_it_is,
)
from tests.library.test_tus_server import test_a_bucket_gets_the_parts_of_a_large_file_across_a_restart  # noqa: F401


@pytest.fixture(autouse=True)
def _in_the_bucket(own_disk: Path, bucket: Store, settings: Any) -> None:  # noqa: F811
    settings.SLIPWAY_STORE_URL = "s3://models/team"
