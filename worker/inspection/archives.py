"""Reads zip and tar files without the standard library's modules for them, which are unsafe in some supported Pythons.

Regular files with plain names only; sizes, counts and ratios are checked while streaming. Nothing is ever extracted
under a name from the archive: each file is written under a number of ours.

Names keep to one grammar in plain ASCII, which leaves nothing to normalise and nothing that looks like something else.
A name with a space or an accent is refused with a sentence that says so: two archives that differ only in how such a
name is spelt would otherwise be the same to one reader and not to the other.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

ENTRIES = 10_000
HEADERS = 4 * ENTRIES  # of a tar: folders, long names and what desktops add count too
RATIO = 100
RATIO_FREE = 32 << 20  # arrays of zeros are common in small models: up to here nothing is too repetitive
CHUNK = 1 << 20

_LONG, _LONG_COUNT = 0xFFFFFFFF, 0xFFFF  # in place of what is too large for its field, and stands in a longer one
_LONG_FIELDS = 0x0001  # kind of the extra field with those

_PART = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LITTER = re.compile(r"(?:__MACOSX/.*|(?:.*/)?(?:\._[^/]*|\.DS_Store|Thumbs\.db))")  # what desktops add on their own

Buffer = Any  # bytes or mmap


@dataclass(frozen=True)
class Entry:
    """One regular file of an archive: where its stored bytes lie and what they should become."""

    name: str
    start: int
    stored: int
    size: int
    deflated: bool = False
    crc: int | None = None
    header: int = 0  # where its own header begins


def read_zip(data: Buffer, entries: int = ENTRIES) -> list[Entry]:
    """The regular files of a zip archive, in the order of their bytes.

    Refuses what two readers could see differently: comments, prepended or trailing bytes, overlapping or duplicate
    entries, local headers that contradict the directory, a field that is written twice with two values; and
    encryption, links and methods other than store and deflate. Large archives and entries (zip64) are read.
    """
    total, size, start, end = _find_directory(data)
    if start + size != end or total > entries:
        raise _broken(gettext_noop("The archive cannot be read: its directory is unusual or too long."))
    found, position = [], start
    for _ in range(total):
        entry, position = _read_directory_entry(data, position, end)
        if entry:
            found.append(entry)
    if position != end:
        raise _broken(gettext_noop("The archive cannot be read: its directory does not end where it should."))
    found.sort(key=lambda entry: entry.start)
    previous_end = 0
    for entry in found:
        if entry.header < previous_end or entry.start + entry.stored > start:
            raise _broken(gettext_noop("The archive cannot be read: its entries overlap."))
        previous_end = entry.start + entry.stored
    return _distinct(found)


def _find_directory(data: Buffer) -> tuple[int, int, int, int]:
    """How many entries the directory has, its size, where it begins and where it must end."""
    end = len(data) - 22
    if end < 0 or data[end : end + 4] != b"PK\x05\x06":
        raise _broken(gettext_noop("The archive cannot be read: its directory is missing."))
    disk, first_disk, here, total, size, start, comment = struct.unpack("<HHHHIIH", data[end + 4 : end + 22])
    if disk or first_disk or comment or here != total:
        raise _broken(gettext_noop("The archive cannot be read: its directory is unusual or too long."))
    if data[max(end - 20, 0) : max(end - 16, 0)] == b"PK\x06\x07":
        return _read_long_end(data, end, (total, size, start))
    return total, size, start, end


def _read_long_end(data: Buffer, end: int, short: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The same where the end is written twice, for small and for large archives: APPNOTE.TXT 4.3.14 to 4.3.16.

    Where the short one says something, both must say the same (torch writes both, whatever the size), so that it makes
    no difference which of them a reader believes.
    """
    begin = end - 76
    found = struct.unpack("<4sQxxHIIQQQQ", data[begin : end - 20]) if begin >= 0 else (b"",) * 9
    *frame, total, size, start = found
    if frame != [b"PK\x06\x06", 44, 45, 0, 0, total] or struct.unpack("<IQI", data[end - 16 : end]) != (0, begin, 1):
        raise _broken(gettext_noop("The archive cannot be read: its directory is missing."))
    fields = zip(short, (total, size, start), (_LONG_COUNT, _LONG, _LONG), strict=True)
    if not all(claim in (fact, unsaid) for claim, fact, unsaid in fields):
        raise _broken(gettext_noop("The archive cannot be read: its directory is unusual or too long."))
    return total, size, start, begin


def _read_directory_entry(data: Buffer, position: int, end: int) -> tuple[Entry | None, int]:
    header = data[position : position + 46]
    if len(header) < 46 or header[:4] != b"PK\x01\x02":
        raise _broken(gettext_noop("The archive cannot be read: its directory is damaged."))
    made_by, _, flags, method, _, _, crc, stored, size, name_length, extra, comment = struct.unpack(
        "<HHHHHHIIIHHH", header[4:34]
    )
    mode, offset = struct.unpack("<II", header[38:46])
    begin = position + 46 + name_length
    following = begin + extra + comment
    raw = data[position + 46 : begin]
    if following > end or comment or flags & 0x2041:
        raise _broken(gettext_noop("The archive cannot be read: an entry is encrypted or commented."))
    size, stored, offset = _lengthened(data[begin : begin + extra], (size, stored, offset))
    name = _plain_name(raw)
    if name.endswith("/") or _LITTER.fullmatch(name):
        return None, following
    kind = (mode >> 16) & 0o170000 if made_by >> 8 == 3 else 0
    if kind not in (0, 0o100000) or method not in (0, 8) or (method == 0 and stored != size):
        raise _broken(
            gettext_noop("The archive cannot be read: an entry is a link, a device or packed in an unusual way.")
        )
    local = data[offset : offset + 30]
    if len(local) < 30 or local[:4] != b"PK\x03\x04" or struct.unpack("<H", local[8:10])[0] != method:
        raise _broken(gettext_noop("The archive cannot be read: an entry contradicts the directory."))
    local_name, local_extra = struct.unpack("<HH", local[26:30])
    begin = offset + 30 + local_name
    start = begin + local_extra
    if data[offset + 30 : begin] != raw or not _agree(local, data[begin:start], crc, stored, size):
        raise _broken(gettext_noop("The archive cannot be read: an entry contradicts the directory."))
    return Entry(_checked(name), start, stored, size, method == 8, crc, offset), following


def _lengthened(extra: Buffer, fields: tuple[int, ...]) -> tuple[int, ...]:
    """The fields, each that is too long for its place from the extra field with the long ones, which has just those."""
    missing = fields.count(_LONG)
    if not missing:
        return fields
    found: list[bytes] = []
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        if kind == _LONG_FIELDS:
            found.append(extra[position + 4 : position + 4 + length])
        position += 4 + length
    if position != len(extra) or len(found) != 1 or len(found[0]) != 8 * missing:
        raise _broken(gettext_noop("The archive cannot be read: the size of an entry is missing."))
    longer = iter(struct.unpack(f"<{missing}Q", found[0]))
    return tuple(next(longer) if field == _LONG else field for field in fields)


def _agree(local: bytes, extra: Buffer, crc: int, stored: int, size: int) -> bool:
    """Whether a local header says what the directory says, as far as it says anything.

    Writers that could not go back leave zeros (and a flag), those that reserved room for more say it in a longer field.
    """
    flags, *claims = struct.unpack("<H6xIII", local[6:26])
    if flags & 0x8:
        return True
    return claims[0] == crc and _lengthened(extra, (claims[2], claims[1])) == (size, stored)


def read_tar(data: Buffer) -> list[Entry]:
    """The regular files of an uncompressed tar archive (ustar, with pax and GNU long names)."""
    found: list[Entry] = []
    position, long_name, headers = 0, "", 0
    while position + 512 <= len(data):
        header = data[position : position + 512]
        if not header.strip(b"\0"):
            return _distinct(found)
        headers += 1
        if headers > HEADERS or len(found) > ENTRIES:
            raise _broken(gettext_noop("The archive cannot be read: it has too many entries."))
        size, kind = _tar_number(header[124:136]), header[156:157]
        if sum(header) - sum(header[148:156]) + 256 != _tar_number(header[148:156]) or position + 512 + size > len(
            data
        ):
            raise _broken(
                gettext_noop("The archive cannot be read: a header is damaged, or the file ends in the middle.")
            )
        start = position + 512
        position = start + -(-size // 512) * 512
        if kind in (b"x", b"L"):
            long_name = _long_name(data[start : start + min(size, CHUNK)], kind)
            continue
        name, long_name = long_name or _tar_name(header), ""
        if kind in (b"g", b"5") or _LITTER.fullmatch(name):
            continue
        if kind not in (b"0", b"\0"):
            raise _broken(gettext_noop("The archive cannot be read: an entry is a link or a device."))
        found.append(Entry(_checked(name), start, size, size))
    raise _broken(gettext_noop("The archive cannot be read: it has no end."))


def _tar_number(field: bytes) -> int:
    text = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{0,11}", text):
        raise _broken(gettext_noop("The archive cannot be read: a number in a header is unusual."))
    return int(text or b"0", 8)


def _tar_name(header: bytes) -> str:
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    name = header[:100].split(b"\0")[0]
    return _plain_name(prefix + b"/" + name if prefix else name)


def _long_name(content: bytes, kind: bytes) -> str:
    if kind == b"L":
        return _plain_name(content.rstrip(b"\0"))
    found = re.search(rb"(?:^|\n)\d{1,6} path=([^\n]*)\n", content)
    return _plain_name(found[1]) if found else ""


def _plain_name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").removeprefix("./")


def _checked(name: str) -> str:
    parts = name.split("/")
    if not 1 <= len(parts) <= 8 or not all(_is_plain(part) for part in parts):
        raise Refusal(
            Message(
                gettext_noop("The archive holds a file named “%(name)s”, which is not a plain name."),
                {"name": name[:100]},
            ),
            Message(
                gettext_noop(
                    "Use only letters, digits, dots, hyphens and underscores in names, at most eight folders deep."
                )
            ),
        )
    return name


def _is_plain(part: str) -> bool:
    """A part of a name; dots at its end are lost on some systems, and a name of dots is a place."""
    return bool(_PART.fullmatch(part)) and not part.endswith(".")


def _distinct(found: list[Entry]) -> list[Entry]:
    if len({entry.name.casefold() for entry in found}) != len(found):
        raise _broken(gettext_noop("The archive cannot be read: two entries have the same name."))
    return found


def stream(data: Buffer, entry: Entry) -> Iterator[bytes]:
    """The content of one entry, in pieces; refuses one that is not what the directory promised."""
    if entry.size > RATIO_FREE and entry.size > entry.stored * RATIO:
        raise _broken(gettext_noop("The archive cannot be read: an entry is packed too tightly to be a model."))
    unpacker = zlib.decompressobj(-15) if entry.deflated else None
    size, crc = 0, 0
    for position in range(entry.start, entry.start + entry.stored, CHUNK):
        piece = data[position : min(position + CHUNK, entry.start + entry.stored)]
        while piece:
            plain = _inflate(unpacker, piece) if unpacker else piece
            piece = unpacker.unconsumed_tail if unpacker else b""
            size, crc = size + len(plain), zlib.crc32(plain, crc)
            if size > entry.size:
                raise _broken(gettext_noop("The archive cannot be read: an entry is larger than it says."))
            yield plain
    if (
        size != entry.size
        or (entry.crc is not None and crc != entry.crc)
        or (unpacker and (not unpacker.eof or unpacker.unused_data))
    ):
        raise _broken(gettext_noop("The archive cannot be read: an entry is damaged."))


def _inflate(unpacker: "zlib._Decompress", piece: Buffer) -> bytes:
    try:
        return unpacker.decompress(piece, CHUNK)
    except zlib.error as error:
        raise _broken(gettext_noop("The archive cannot be read: an entry is damaged.")) from error


def read(data: Buffer, entry: Entry, limit: int) -> bytes:
    """One entry of at most ``limit`` bytes, whole."""
    if entry.size > limit:
        raise _broken(gettext_noop("The archive cannot be read: an entry is too large."))
    return b"".join(stream(data, entry))


def extract(data: Buffer, entries: list[Entry], folder: Path, limit: int) -> list[Path]:
    """Write each entry under a number of ours, in their order; together at most ``limit`` bytes."""
    refuse_bomb(entries, limit)
    folder.mkdir(mode=0o700)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for index, entry in enumerate(entries):
            _write(stream(data, entry), str(index), place)
    finally:
        os.close(place)
    return [folder / str(index) for index in range(len(entries))]


def refuse_bomb(entries: list[Entry], limit: int) -> None:
    """Refuse entries that are too much together, though each alone may be small enough."""
    total = sum(entry.size for entry in entries)
    if total > RATIO_FREE and total > RATIO * sum(entry.stored for entry in entries):
        raise _broken(gettext_noop("The archive cannot be read: an entry is packed too tightly to be a model."))
    if total > limit:
        raise too_much(
            gettext_noop("The archive holds %(size)s GB, and at most %(limit)s GB are unpacked here."), limit, total
        )


def too_much(reason: str, limit: int, size: int = 0) -> Refusal:
    """What is no bomb, and still more than this installation takes."""
    advice = gettext_noop("Upload a smaller model, or ask an administrator to raise SLIPWAY_UPLOAD_MAX_BYTES.")
    shown = {"limit": f"{limit / 1e9:.2f}", **({"size": f"{size / 1e9:.2f}"} if size else {})}
    return Refusal(Message(reason, shown), Message(advice))


def _write(pieces: Iterator[bytes], name: str, place: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o440, dir_fd=place)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)


def _broken(reason: str) -> Refusal:
    return Refusal(
        Message(reason),
        Message(gettext_noop("Upload the model file itself, or pack it again as a plain .zip or .tar.gz.")),
    )
