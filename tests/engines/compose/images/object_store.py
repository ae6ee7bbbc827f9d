"""An S3 server: OpenStack Swift with s3api, as a few processes over /data. ``rings`` prepares them, else it serves.

Name and secret come from the same file that the object store of the compose file reads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ETC, DATA = Path("/etc/swift"), Path("/data")
PORTS = {"account": 6202, "container": 6201, "object": 6200}
STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = root
swift_dir = /etc/swift
devices = /data
mount_check = false
workers = 0
log_level = ERROR
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """\
[DEFAULT]
bind_ip = 0.0.0.0
bind_port = 8333
user = root
swift_dir = /etc/swift
workers = 0
log_level = ERROR
[pipeline:main]
pipeline = catch_errors cache listing_formats names s3api tempauth bulk slo dlo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
error_suppression_interval = 0
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:11211
[filter:names]
paste.filter_factory = short_names:make_filter
[filter:tempauth]
use = egg:swift#tempauth
user_{name}_{name} = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
"""
PLAIN = ["catch_errors", "listing_formats", "bulk", "slo", "dlo", "symlink", "versioned_writes"]
SWIFT = """\
[swift-hash]
swift_hash_path_prefix = stand
swift_hash_path_suffix = in
[storage-policy:0]
name = one
default = yes
"""


def make_rings() -> None:
    ETC.mkdir(exist_ok=True)
    (ETC / "swift.conf").write_text(SWIFT)
    for kind, port in PORTS.items():
        builder = str(ETC / f"{kind}.builder")
        for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            subprocess.run(["swift-ring-builder", builder, *words], check=True, stdout=subprocess.DEVNULL)


def serve() -> None:
    for folder in (DATA / "d1", Path("/var/cache/swift"), Path("/var/lock")):
        folder.mkdir(parents=True, exist_ok=True)
    for kind, port in PORTS.items():
        file = ETC / f"{kind}-server.conf"
        file.write_text(STORAGE.format(kind=kind, port=port))
        subprocess.Popen([f"swift-{kind}-server", str(file)])
    subprocess.Popen(["memcached", "-u", "root", "-l", "127.0.0.1"])
    known = json.loads(Path("/run/secrets/store_conf").read_text())["identities"][0]["credentials"][0]
    proxy = PROXY.format(name=known["accessKey"], secret=known["secretKey"])
    proxy += "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN)
    (ETC / "proxy-server.conf").write_text(proxy)
    os.environ["PYTHONPATH"] = "/stand-ins"
    os.execvp("swift-proxy-server", ["swift-proxy-server", str(ETC / "proxy-server.conf")])


if __name__ == "__main__":
    make_rings() if sys.argv[1:] == ["rings"] else serve()
