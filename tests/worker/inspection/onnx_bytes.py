"""ONNX files written byte by byte, with whatever their library would refuse to write."""

import struct


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: a whole number, or bytes with their length in front."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def opset(domain: str = "", version: int = 17) -> bytes:
    return field(8, (field(1, domain) if domain else b"") + field(2, version))


def model(graph: bytes, *opsets: bytes) -> bytes:
    """A model around the content of a graph."""
    return field(1, 8) + field(7, graph) + field(2, "pytorch") + b"".join(opsets or (opset(),))


def node(kind: str, domain: str = "", *, attributes: bytes = b"") -> bytes:
    body = field(1, "x") + field(2, "y") + field(4, kind) + attributes + (field(7, domain) if domain else b"")
    return field(1, body)


def attribute(name: str, content: bytes) -> bytes:
    return field(5, field(1, name) + content)


def tensor(name: str = "w") -> bytes:
    """The content of four numbers."""
    return field(1, 4) + field(2, 1) + field(8, name) + field(9, struct.pack("<4f", 1, 2, 3, 4))


def external_tensor(location: str | bytes, name: str = "w", *, is_marked: bool = True) -> bytes:
    """The content of a tensor whose numbers lie in another file."""
    entry = field(13, field(1, "location") + field(2, location))
    return field(1, 4) + field(2, 1) + field(8, name) + entry + (field(14, 1) if is_marked else b"")


def graph_file() -> bytes:
    """A plain model, long enough to be cut anywhere."""
    weights = b"".join(field(5, tensor(f"w{index}")) for index in range(100))
    return field(1, 8) + field(2, "pytorch") + opset() + field(7, node("Relu") + weights)


def nested_graphs(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph in an attribute …"""
    graph = node("Relu")
    for _ in range(depth):
        graph = node("If", attributes=attribute("then_branch", field(6, graph)))
    return model(graph)
