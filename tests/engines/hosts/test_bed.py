"""The bed itself: two engines that answer only to who shows the right certificate."""

import ssl
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.engines.daemons import DockerHosts


def ping(hosts: DockerHosts, folder: Path, *, with_certificate: bool) -> int:
    context = ssl.create_default_context(cadata=hosts.authority.cert)
    if with_certificate:
        context.load_cert_chain(*hosts.pair.write(folder, "client"))
    connection = HTTPSConnection(hosts.daemons[0].address, 2376, context=context, timeout=5)
    connection.request("GET", "/_ping")
    return connection.getresponse().status


def test_a_host_answers_to_our_certificate_alone(docker_hosts: DockerHosts, tmp_path: Path) -> None:
    assert ping(docker_hosts, tmp_path, with_certificate=True) == 200
    with pytest.raises(ssl.SSLError):
        ping(docker_hosts, tmp_path, with_certificate=False)


def test_hosts_share_nothing_but_the_network(docker_hosts: DockerHosts) -> None:
    first, second = docker_hosts.daemons
    assert first.address != second.address
    assert first.client.info()["ID"] != second.client.info()["ID"]
