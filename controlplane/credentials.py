"""Passwords, addresses and certificates for docker-compose.yml: ``python -m controlplane.credentials FOLDER``.

Makes one file for each secret of the compose file, once: what is there already stays, so that a second run adds what a
newer release needs. The folder is readable by its owner alone; the files in it by everybody, since each container has
a user of its own. ``--registry`` is the name that GPU hosts reach the registry by.
"""

import argparse
import ctypes
import datetime
import json
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERTIFICATE_DAYS = 3650
BUILD_MILLISECONDS = 7_200_000  # a task that takes longer is taken away from its worker
SERVES_AND_SIGNS = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
BCRYPT = "$2y$10$"
BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m controlplane.credentials", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--registry", default="registry", metavar="HOST", help="the registry's name (registry)")
    options = parser.parse_args()
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = make_all(options.folder, options.registry)
    print(f"Made {', '.join(made)}." if made else "Everything was there already.")


def make_all(folder: Path, registry: str) -> list[str]:
    """Write what is missing; the names of what was. Things that belong together are made together."""
    groups = [make_database(), make_broker(), make_cache(), make_store()]
    if not (folder / "registry_key").exists():  # a certificate takes a moment, and is thrown away for nothing
        groups.append(make_registry(registry))
    made = []
    for group in groups:
        if any((folder / name).exists() for name in group):
            continue
        for name, text in group.items():
            path = folder / name
            path.write_text(text)
            path.chmod(0o644)
            made.append(name)
    return made


def make_database() -> dict[str, str]:
    """Two roles: the administrator, for ``prepare`` alone, and ours, which may add to the audit log and no more."""
    admin, password = secrets.token_hex(24), secrets.token_hex(24)
    return {
        "database_admin_password": admin,
        "database_admin_url": f"postgres://postgres:{admin}@database/slipway",
        "database_roles": f"CREATE ROLE slipway LOGIN PASSWORD '{password}';\n"
        "CREATE ROLE slipway_audit NOLOGIN;\nALTER DATABASE slipway OWNER TO slipway;\n",
        "database_url": f"postgres://slipway:{password}@database/slipway",
    }


def make_broker() -> dict[str, str]:
    password = secrets.token_hex(24)
    return {
        "broker_conf": f"default_user = slipway\ndefault_pass = {password}\nconsumer_timeout = {BUILD_MILLISECONDS}\n",
        "broker_url": f"amqp://slipway:{password}@broker//",
    }


def make_cache() -> dict[str, str]:
    password = secrets.token_hex(24)
    return {
        "redis_conf": f"requirepass {password}\ndir /data\nappendonly yes\n",
        "redis_url": f"redis://:{password}@cache:6379/0",
    }


def make_store() -> dict[str, str]:
    name, secret = "slipway", secrets.token_hex(24)
    identity = {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": ["Admin"]}
    return {
        "store_conf": json.dumps({"identities": [identity]}),
        "store_credentials": f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {secret}\n",
    }


def make_registry(host: str) -> dict[str, str]:
    """A password, and a certificate for ``host`` that is its own authority: hosts are told to trust that one."""
    password = secrets.token_hex(24)
    certificate, key = make_certificate(host)
    return {
        "registry_url": f"https://slipway:{password}@{host}:5000/slipway",
        "registry_htpasswd": f"slipway:{bcrypt(password)}\n",
        "registry_certificate": certificate,
        "registry_ca": certificate,
        "registry_key": key,
    }


def make_certificate(host: str) -> tuple[str, str]:
    """Certificate and private key (PEM) of a server that is called ``host``; signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - datetime.timedelta(hours=1),
        now + datetime.timedelta(days=CERTIFICATE_DAYS),
    )  # fmt: skip
    for extension, is_critical in (
        (x509.SubjectAlternativeName([x509.DNSName(host)]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (SERVES_AND_SIGNS, True),
    ):
        builder = builder.add_extension(extension, critical=is_critical)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return certificate.decode(), plain.decode()


def bcrypt(password: str) -> str:
    """The form in which the registry wants passwords; made by the system's own ``crypt``."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = "".join(secrets.choice(BCRYPT_ALPHABET) for _ in range(21)) + secrets.choice(".Oeu")  # 128 bits
    found = library.crypt(password.encode(), f"{BCRYPT}{salt}".encode())
    if not found or not found.startswith(BCRYPT.encode()):
        raise OSError("this system's crypt knows no bcrypt")
    return str(found.decode())


if __name__ == "__main__":
    main()
