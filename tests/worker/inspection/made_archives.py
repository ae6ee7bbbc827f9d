"""Archives as Hypothesis makes them: any names, kinds, sizes and flags, from quite ordinary to torn."""

import struct
import tarfile
import zlib

from hypothesis import strategies as st

from tests.worker.inspection.cases import member

GOOD = ("model.onnx", "m/model.onnx", "a", "b", "labels.txt", "m/.keep")
PARTS = ("a", "b", "..", ".", "", "model.onnx", "x" * 130, "C:", "a\\b", "é", "~", "a b", "con.", ".DS_Store", "A")
LONG = "../" * 60 + "out"

names = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(GOOD),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=9).map("/".join),
    st.text(alphabet="ab./\\é-\0\n ", min_size=1, max_size=12),
    st.just(LONG),
)
contents = st.one_of(st.binary(max_size=40), st.just(bytes(5000)))
offsets = st.one_of(st.just(0), st.integers(-60, 60))


@st.composite
def archives(draw: st.DrawFn) -> tuple[bytes, bool]:
    """An archive and whether it is a zip; up to three of its bytes changed, now and then cut off."""
    is_zip = draw(st.booleans())
    data = bytearray(draw(zips() if is_zip else tars()))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2, 3)))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 9)) == 9:
        del data[draw(st.integers(0, len(data) - 1)) :]
    return bytes(data), is_zip


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    body, directory, count = bytearray(), bytearray(), draw(st.integers(1, 3))
    for _ in range(count):
        name, content, deflated = draw(names).encode(), draw(contents), draw(st.booleans())
        stored = _deflate(content) if deflated else content
        flags = draw(st.sampled_from((0, 0, 0, 0, 0x800, 8, 8, 1)))
        size = len(content) + draw(st.sampled_from((0, 0, 0, 0, 0, 1, -1, 1 << 31)))
        facts = _facts(flags, 8 * deflated, zlib.crc32(content), len(stored), max(size, 0), len(name))
        mode = draw(st.sampled_from((0o100644,) * 5 + (0, 0o120777, 0o020666, 0o040755))) << 16
        place = max(len(body) + draw(offsets), 0) if draw(st.integers(0, 9)) == 9 else len(body)
        body += b"PK\x03\x04" + facts + name + stored
        directory += b"PK\x01\x02\x14\x03" + facts + struct.pack("<HHHII", 0, 0, 0, mode, place) + name
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def _deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    return packer.compress(content) + packer.flush()


def _facts(flags: int, method: int, crc: int, stored: int, size: int, name: int) -> bytes:
    return struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0, crc, stored, size, name, 0)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    data = b""
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from((tarfile.REGTYPE,) * 12 + (b"1", b"2", b"3", b"5", b"6", b"L", b"x", b"g", b"7")))
        content = b"18 path=../../out\n" if kind == b"x" else draw(contents)
        entry = member(draw(names), kind, draw(st.sampled_from(("", "/etc/passwd", "../out"))))
        entry.size = len(content)
        data += (
            entry.tobuf(tarfile.GNU_FORMAT if draw(st.booleans()) else tarfile.PAX_FORMAT)
            + content
            + bytes(-len(content) % 512)
        )
    return data + bytes(1024)
