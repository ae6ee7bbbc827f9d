"""Files that would do harm if they were opened: each tries to leave a marker file behind."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.worker.inspection.cases import CRAFTED, CUT, NAME, Case, member, tarred, zipped

STOP = b"."
PROTO = b"\x80\x04"


class Call:
    """Pickles as a call of whatever it is given."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


def text(value: str) -> bytes:
    """SHORT_BINUNICODE, or BINUNICODE for what is longer."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data if len(data) < 256 else b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def value(item: Any) -> bytes:
    if isinstance(item, Call):
        return call(item.module, item.name, *item.args)
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return text(item)
    return b"K" + bytes([item])


def call(module: str, attribute: str, *args: Any) -> bytes:
    return name(module, attribute) + b"(" + b"".join(map(value, args)) + b"tR"


def whole(body: bytes) -> bytes:
    return PROTO + body + STOP


# Functions that run, read, write or fetch what they are given: many known from real attacks.
GADGETS = """
    os:system posix:system nt:system os:popen os:execv os:remove subprocess:Popen subprocess:run
    subprocess:check_output builtins:eval builtins:exec builtins:compile builtins:open builtins:__import__
    builtins:getattr builtins:setattr builtins:globals builtins:breakpoint builtins:input builtins:map
    importlib:import_module runpy:run_path runpy:run_module code:InteractiveInterpreter pty:spawn pdb:run
    timeit:timeit cProfile:run profile:run bdb:Bdb trace:Trace doctest:testfile webbrowser:open socket:socket
    urllib.request:urlopen http.client:HTTPConnection ssl:get_server_certificate shutil:rmtree shutil:copyfile
    tempfile:mktemp pathlib:Path pathlib:PosixPath io:open io:FileIO _io:open codecs:open functools:partial
    functools:reduce operator:attrgetter operator:methodcaller operator:itemgetter _operator:methodcaller
    types:FunctionType types:CodeType marshal:loads pickle:loads _pickle:loads pickle:load joblib:load joblib:Memory
    joblib.memory:Memory joblib.numpy_pickle:load joblib.parallel:Parallel cloudpickle.cloudpickle:_make_function
    dill._dill:_create_function numpy:load numpy:fromfile numpy:memmap numpy:genfromtxt numpy:loadtxt numpy:save
    numpy:savetxt numpy:frompyfunc numpy:vectorize numpy:apply_along_axis numpy.testing._private.utils:runstring
    numpy.f2py.crackfortran:getlincoef numpy.ctypeslib:load_library ctypes:CDLL scipy.io:loadmat
    scipy.stats._distn_infrastructure:rv_continuous_frozen scipy.stats._continuous_distns:norm_gen
    sklearn.datasets._openml:fetch_openml sklearn.datasets._base:load_files sklearn.utils._testing:run_in_subprocess
    sklearn.base:clone sklearn.utils.parallel:Parallel torch:load torch.hub:load tensorflow:load_library
    pip._internal:main setuptools:setup logging.config:listen multiprocessing.util:spawnv_passfds
    asyncio:create_subprocess_shell copyreg:_reconstructor copyreg:add_extension weakref:finalize atexit:register
    signal:signal sys:setrecursionlimit __main__:helper mymodule:Transformer xgboost.sklearn:XGBClassifier
    lightgbm.sklearn:LGBMClassifier
    """.split()  # noqa: SIM905 - a readable block of names


CUT_STREAMS = frozenset({"huge bytes", "huge text", "raw array larger than the file", "raw array of overflowing shape"})
CRAFTED_STREAMS = frozenset(
    """
    INST; state set on a class; state set twice; special attribute in a state; special attribute in slots; NEWOBJ_EX;
    EXT1; EXT2; EXT4; PERSID; BINPERSID; out-of-band buffer; odd codec; trailing bytes; second pickle behind;
    leftovers on the stack; memo never filled; list as a key; deep tuple as a key; append to an object;
    item of an object; huge number; negative length; huge frame; frame in a frame; many marks; many values;
    endless memo; record type with objects; objects as bytes; objects with the flags of numbers;
    numbers with the flags of objects; text type that contradicts itself; more shape than bytes; negative shape;
    element type by a comma string; type set twice; code behind a raw array
    """.replace("\n    ", " ")
    .strip()
    .split("; ")
)


def streams(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles: every gadget called, and every trick with the machine itself."""
    command = f"touch {marker}"
    for gadget in GADGETS:
        yield gadget, whole(call(*gadget.split(":"), command))
    yield "a name never called", whole(name("os", "system"))
    yield "protocol 0", b"cos\nsystem\n(S'%s'\ntR." % command.encode()
    yield "protocol 1", b"cos\nsystem\nq\x00(U" + bytes([len(command)]) + command.encode() + b"tR."
    yield "protocol 2 with a Python 2 name", b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R."
    yield "INST", b"(S'%s'\nios\nsystem\n." % command.encode()
    yield "OBJ", PROTO + b"(" + name("os", "system") + text(command) + b"o."
    yield "attributes by getattr", whole(call("builtins", "getattr", name("os", "path"), "os"))
    yield "dotted name", whole(name("sklearn.base", "warnings.sys.modules"))
    yield "dotted module of ours", whole(call("sklearn.pipeline", "Pipeline.fit", "x"))
    yield (
        "name put together from the memo",
        PROTO + text("os") + b"\x94" + text("system") + b"\x940" + b"0h\x00h\x01\x93" + text(command) + b"\x85R.",
    )
    yield (
        "state set on a class",
        whole(name("sklearn.linear_model._logistic", "LogisticRegression") + b"}" + text("a") + b"K\x01sb"),
    )
    yield "state set twice", whole(estimator() + b"}b}b")
    yield (
        "special attribute in a state",
        whole(estimator() + b"}" + text("__class__") + name("numpy", "float64") + b"sb"),
    )
    yield (
        "special attribute in slots",
        whole(estimator() + b"N}" + text("__class__") + name("numpy", "float64") + b"s\x86b"),
    )
    yield "value called", whole(call("numpy", "mean", command))
    yield "class called", whole(call("sklearn.pipeline", "Pipeline", command))
    yield "function made", whole(name("numpy", "mean") + b")\x81")
    yield "arguments to new", whole(name("sklearn.pipeline", "Pipeline") + text(command) + b"\x85\x81")
    yield "NEWOBJ_EX", whole(name("sklearn.pipeline", "Pipeline") + b")}\x92")
    yield "constructor handed on as a value", whole(estimator() + b"}" + text("f") + name("_codecs", "encode") + b"sb")
    yield "EXT1", PROTO + b"\x82\x01."
    yield "EXT2", PROTO + b"\x83\x01\x00."
    yield "EXT4", PROTO + b"\x84\x01\x00\x00\x00."
    yield "PERSID", PROTO + b"Pfile:///etc/passwd\n."
    yield "BINPERSID", PROTO + text("x") + b"Q."
    yield "out-of-band buffer", b"\x80\x05\x97."
    yield "odd codec", whole(call("_codecs", "encode", command, "zip"))
    yield "trailing bytes", whole(estimator()) + b"#!/bin/sh"
    yield "second pickle behind", whole(estimator()) + whole(call("os", "system", command))
    yield "broken tail", PROTO + call("os", "system", command) + b"\xff\xff"
    yield "cut off", PROTO + call("os", "system", command)
    yield "leftovers on the stack", PROTO + estimator() + estimator() + STOP
    yield "memo never filled", PROTO + b"h\x07."
    yield "list as a key", whole(b"}]K\x01s")
    yield "deep tuple as a key", whole(b"}" + b")" + b"\x85" * 200_000 + b"K\x01s")
    yield "append to an object", whole(estimator() + b"K\x01a")
    yield "item of an object", whole(estimator() + text("a") + b"K\x01s")
    yield "huge bytes", PROTO + b"\x8e" + struct.pack("<Q", 1 << 62) + b"x."
    yield "huge text", PROTO + b"\x8d" + struct.pack("<Q", 1 << 40) + b"x."
    yield "huge number", PROTO + b"\x8b" + struct.pack("<i", 1 << 30) + b"\x01" * 2000 + b"."
    yield "negative length", PROTO + b"\x8b" + struct.pack("<i", -5) + b"."
    yield "huge frame", PROTO + b"\x95" + struct.pack("<Q", 1 << 60) + b"N."
    yield (
        "frame in a frame",
        PROTO + b"\x95" + struct.pack("<Q", 30) + b"\x95" + struct.pack("<Q", 2) + b"N" * 30 + b".",
    )
    yield "many marks", PROTO + b"(" * 500_000 + b"."
    yield "many values", PROTO + b"N" * 2_000_000 + b"."
    yield "endless memo", PROTO + b"N" + b"\x94" * 2_500_000 + b"."
    yield "record type with objects", whole(dtype("V16", names="a", inner=dtype("O8", flags=63)))
    yield "objects as bytes", whole(array(dtype("O8", flags=63), b"C\x08" + b"A" * 8))
    yield "objects with the flags of numbers", whole(array(dtype("O8", flags=0), b"C\x08" + b"A" * 8))
    yield "numbers with the flags of objects", whole(dtype("f8", flags=63))
    yield "text type that contradicts itself", whole(dtype("U1", size=4000))
    yield "more shape than bytes", whole(array(dtype("f8"), b"C\x08" + b"A" * 8, shape=b"J\xff\xff\xff\x7f\x85"))
    yield "negative shape", whole(array(dtype("f8"), b"C\x08" + b"A" * 8, shape=b"J\xff\xff\xff\xff\x85"))
    yield "element type by a comma string", whole(call("numpy", "dtype", "f8,O", b"\x89", b"\x88"))
    yield "type set twice", whole(dtype("f8") + dtype_state(flags=0) + b"b")
    hidden = call("os", "system", command)
    yield "code behind a raw array", whole(raw_array(b"K\x08\x85", dtype("U2", size=800)) + b"A" * 64 + hidden)
    yield "code inside a raw array of objects", raw_array_prefix(dtype("O8", flags=63)) + whole(hidden) + STOP
    yield (
        "raw array of another class",
        whole(raw_array(b"K\x01\x85", dtype("f8"), subclass=name("os", "system")) + b"A" * 9),
    )
    yield "raw array larger than the file", whole(raw_array(b"J\xff\xff\xff\x7f\x85", dtype("f8")) + b"A" * 64)
    yield (
        "raw array of overflowing shape",
        whole(raw_array(b"\x8a\x05\x00\x00\x00\x00\x01" * 2 + b"\x86", dtype("f8")) + b"A" * 64),
    )


def estimator() -> bytes:
    return name("sklearn.linear_model._logistic", "LogisticRegression") + b")\x81"


def dtype(code: str, *, flags: int = 0, size: int = -1, names: str = "", inner: bytes = b"") -> bytes:
    return (
        call("numpy", "dtype", code, b"\x89", b"\x88")
        + dtype_state(flags=flags, size=size, names=names, inner=inner)
        + b"b"
    )


def dtype_state(*, flags: int, size: int = -1, names: str = "", inner: bytes = b"") -> bytes:
    fields = text(names) + b"\x85}" + text(names) + inner + b"K\x00\x86s" if names else b"NN"
    return (
        b"(K\x03"
        + text("|")
        + b"N"
        + fields
        + b"J"
        + struct.pack("<i", size)
        + b"J\xff\xff\xff\xff"
        + b"K"
        + bytes([flags])
        + b"t"
    )


def array(element: bytes, content: bytes, shape: bytes = b"K\x01\x85") -> bytes:
    made = call("numpy._core.multiarray", "_reconstruct", name("numpy", "ndarray"), b"K\x00\x85", b"C\x01b")
    return made + b"(K\x01" + shape + element + b"\x89" + content + b"tb"


def raw_array(shape: bytes, element: bytes, subclass: bytes = b"") -> bytes:
    items = (
        text("subclass") + (subclass or name("numpy", "ndarray")) + text("shape") + shape + text("order") + text("C")
    )
    items += text("dtype") + element + text("allow_mmap") + b"\x88"
    return name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(" + items + b"ub"


def raw_array_prefix(element: bytes) -> bytes:
    return PROTO + raw_array(b"K\x01\x85", element)


def models(marker: Path) -> Iterator[tuple[str, Any]]:
    """Ordinary models with a callable where it would be called later."""
    runner = __import__("os").system
    yield "function transformer", FunctionTransformer(runner)
    yield "function transformer in a pipeline", make_pipeline(FunctionTransformer(runner), LogisticRegression())
    yield "metric of neighbours", KNeighborsClassifier(metric=runner)
    yield "evaluator in a list", make_pipeline(FunctionTransformer(eval))
    yield "reader of files", FunctionTransformer(np.fromfile)


def cases(marker: Path) -> Iterator[Case]:
    """Whole files under their names: the streams, wrapped in everything that hides them."""
    for label, data in streams(marker):
        kind = "call of what runs, reads or fetches" if label in GADGETS else label
        yield Case(label, kind, {"model.pkl": data}, "safety", _reason(label))
    for label, model in models(marker):
        yield Case(f"{label}, pickle", label, {"model.pkl": pickle.dumps(model)}, "safety", NAME)
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        yield Case(f"{label}, joblib", label, {"model.joblib": buffer.getvalue()}, "safety", NAME)
    yield from wrapped(whole(call("os", "system", f"touch {marker}")))
    for label, node in schemas():
        data = zipped({"schema.json": json.dumps(node).encode()})
        reason = "asks for the loader" if label.endswith("Node") else NAME
        yield Case(f"skops: {label}", "skops: a type of its own", {"model.skops": data}, "safety", reason)


def _reason(label: str) -> str:
    return CUT if label in CUT_STREAMS else CRAFTED if label in CRAFTED_STREAMS else NAME


def wrapped(payload: bytes) -> Iterator[Case]:
    """One harmful stream under compression, in archives and under other names."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zlib": zlib.compress,
        "gzip": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    }
    for label, pack in packers.items():
        yield _safety(f"under {label}", "model.joblib", pack(payload))
        yield _safety(f"under {label} and gzip", "model.joblib", gzip.compress(pack(payload)))
        behind = {"model.joblib": pack(payload) + payload}
        yield Case(f"something behind {label}", "something behind a layer", behind, "content", "something follows")
    thrice = {"model.joblib": gzip.compress(gzip.compress(gzip.compress(payload)))}
    yield Case("under three layers", "under three layers", thrice, "content", "more than twice over")
    yield _safety("called ONNX", "model.onnx", payload)
    yield _safety("called a booster", "model.json", payload)
    yield _safety("called labels", "labels.txt", payload)
    objects = {"model.npy": saved(np.array([FunctionTransformer(print)], dtype=object))}
    yield Case("array of objects", "array of objects", objects, "content", "numpy array")
    yield _safety("zip of a model", "model.zip", zipped({"model.pkl": payload}))
    yield _safety("zip of an odd name", "model.zip", zipped({"weights.bin": payload}))
    yield _safety("tar.gz of a model", "model.tgz", gzip.compress(tarred((member("m/model.pkl"), payload))))
    inner = {
        "torch": ("archive/data.pkl", "a PyTorch file of pickled objects"),
        "a model": ("model.pkl", "an archive inside an archive"),
    }
    for label, (name, reason) in inner.items():
        nested = {"model.zip": zipped({"inner.zip": zipped({name: payload})})}
        yield Case(f"zip in a zip of {label}", "zip in a zip", nested, "content", reason)
    for label, others in (("labels", {"labels.txt": payload}), ("a note", {"notes.txt": payload})):
        files = {"model.pkl": payload, **others}
        yield Case(f"two streams, one called {label}", "several models", files, "content", "could be the model")


def _safety(label: str, name: str, data: bytes) -> Case:
    return Case(label, label, {name: data}, "safety", NAME)


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for loader in ("PartialNode", "MethodNode", "OperatorFuncNode", "NewNode"):
        yield loader, {"__loader__": loader, "__module__": "sklearn.pipeline", "__class__": "Pipeline", "content": {}}
    for module, attribute in (
        ("os", "system"),
        ("builtins", "eval"),
        ("sklearn.pipeline", "Pipeline.fit"),
        ("numpy", "load"),
    ):
        node = {"__loader__": "FunctionNode", "__module__": module, "__class__": attribute}
        yield f"{module}.{attribute}", {
            "__loader__": "ObjectNode", "__module__": "sklearn.preprocessing._function_transformer",
            "__class__": "FunctionTransformer", "content": {"func": node},
        }  # fmt: skip


def saved(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()
