"""The data folder: where it is, and the secrets that are made in it on the first start."""

import os
import secrets
from pathlib import Path


def data_folder(root: Path) -> Path:
    """``SLIPWAY_HOME`` or ``var/`` beside ``manage.py``; made when missing, readable by us alone."""
    home = Path(os.environ.get("SLIPWAY_HOME") or root / "var").expanduser().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def secret(home: Path, name: str, size: int = 32) -> bytes:
    """``size`` random bytes kept in ``secrets/<name>`` (mode 0600); made by whichever process comes first."""
    path = home / "secrets" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}")
        draft.write_text(secrets.token_hex(size))
        draft.chmod(0o600)
        try:
            os.link(draft, path)  # never replaces: the first process wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return bytes.fromhex(path.read_text().strip())
