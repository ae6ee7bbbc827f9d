"""TorchScript and torch.export: read member by member without torch, converted where torch can be had."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.inspection.examining import environment_of, examined
from tests.worker.inspection.malice import call, whole, zipped
from worker import sandbox
from worker.builders.base import BuildSettings
from worker.errors import ToolError
from worker.inspection import formats, torch_code, torch_files
from worker.inspection.environments import Environments
from worker.inspection.refusals import Refusal

DATA = Path(__file__).with_name("data") / "torch"
SCRIPTS = ("scripted.pt", "traced.pt", "frozen.pt")
PAYLOAD = whole(call("os", "system", "touch /tmp/marker"))


def members(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / name) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def script(code: str, **more: bytes) -> bytes:
    """A TorchScript archive with this code; names in ``more`` are written with two underscores for a slash."""
    data = b"\x80\x02c__torch__\nNet\n)\x81}b."
    extra = {f"m/{name}": content for name, content in more.items()}
    return zipped(
        {"m/data.pkl": data, "m/constants.pkl": b"\x80\x02).", "m/code/__torch__.py": code.encode(), "m/version": b"3"}
        | extra
    )


def net(body: str) -> str:
    return f"class Net(Module):\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    {body}\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_real_scripts_are_recognised_and_pass(name: str) -> None:
    data = (DATA / name).read_bytes()
    assert formats.recognise(data) == "torchscript"
    found = torch_files.read_script(data)
    assert {"linear", "relu", "softmax"} <= found.operators
    assert all(not operator.startswith("_load") for operator in found.operators)


def test_a_real_exported_graph_is_recognised_and_passes() -> None:
    data = (DATA / "exported.pt2").read_bytes()
    assert formats.recognise(data) == "torch_export"
    found = torch_files.read_export(data)
    assert found.operators == {"linear", "batch_norm", "relu", "softmax"}
    assert "torch._utils:_rebuild_tensor_v2" in found.names


@pytest.mark.parametrize("name", ["eager.pt", "state.pt"])
def test_pickled_modules_and_weights_are_told_what_to_do(name: str, tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.pt": DATA / name})
    assert report.failed.check == "content"
    assert report.failed.details["kind"] == "pytorch"
    assert "torch.export.save" in str(report.failed.advice)


CODE = {
    "reads a file": "return torch.from_file('/etc/passwd')".replace("'", '"'),
    "writes a file": 'ops.aten.save(x, "/tmp/x")',
    "writes by a method": 'x.save("/tmp/x")',
    "reads by a method of text": '("/etc/passwd").from_file(True, 10)',
    "a space of others": "return ops.evil.run(x)",
    "a class of others": "return __torch__.torch.classes.evil.Runner()",
    "the space handed on": "t = torch\n    return t.from_file(x)",
    "an operator by its name": 'return getattr(torch, "from_file")(x)',
    "a blank before the dot": 'return torch .from_file("/etc/passwd")',
    "a line before the dot": 'return torch\n.from_file("/etc/passwd")',
    "a deeper name": "return torch._C._jit_run(x)",
    "an import": "import os\n    return x",
    "a comment": "return x # torch.from_file",
    "other quotes": "return torch.relu('x')",
    "other letters": "return torch.ｆrom_file(x)",
    "a backslash": "return torch.\\\nfrom_file(x)",
    "no operator": "return torch.system(x)",
}


@pytest.mark.parametrize("label", CODE)
def test_code_that_calls_more_than_operators_is_refused(label: str) -> None:
    with pytest.raises(Refusal) as error:
        torch_files.read_script(script(net(CODE[label])))
    assert str(error.value.reason)
    assert str(error.value.advice)


def test_a_method_called_like_a_writer_is_refused() -> None:
    code = net("return (self).save(x)") + "  def save(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    return x\n"
    with pytest.raises(Refusal, match="save"):
        torch_files.read_script(script(code))


def test_ordinary_code_passes() -> None:
    code = net('y = torch.relu(torch.add(x, 1.5e-05))\n    print("a # b \'")\n    return (self.inner).forward(y, )')
    assert torch_files.read_script(script(code)).operators == {"relu", "add"}


EXTRA = {
    "a pickle in the data": {"data.pkl": PAYLOAD},
    "a pickle beside the code": {"code/x.debug_pkl": PAYLOAD},
    "a pickle of traced inputs": {"traced_inputs.pkl": PAYLOAD},
    "a pickle in the constants": {"constants.pkl": PAYLOAD},
    "a pickle of its own": {"extra/model.pkl": PAYLOAD},
    "an archive": {"inner.zip": zipped({"data.pkl": PAYLOAD})},
    "a program": {"lib.so": b"\x7fELF"},
    "Python": {"code/x.txt": b"import os"},
    "an unknown class": {"data.pkl": b"\x80\x02c__torch__\nOther\n)\x81}b."},
    "an unknown storage": {"data.pkl": b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000NK\x01tQ."},
    "another persistent id": {"data.pkl": b"\x80\x02X\x01\x00\x00\x00xQ."},
    "a lone id": {"data.pkl": b"\x80\x02Pid\n."},
}


@pytest.mark.parametrize("label", EXTRA)
def test_members_that_do_not_belong_are_refused(label: str) -> None:
    with pytest.raises(Refusal):
        torch_files.read_script(script(net("return x"), **EXTRA[label]))


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    files = members("exported.pt2")
    change(files)
    return zipped(files)


def retargeted(target: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        graph = files["exported/models/model.json"]
        files["exported/models/model.json"] = graph.replace(b"torch.ops.aten.relu.default", target.encode())

    return change


def pickled_weights(files: dict[str, bytes]) -> None:
    name = "exported/data/weights/model_weights_config.json"
    files[name] = files[name].replace(b'"use_pickle": false', b'"use_pickle": true', 1)


def poisoned_inputs(files: dict[str, bytes]) -> None:
    files["exported/data/sample_inputs/model.pt"] = zipped({"archive/data.pkl": PAYLOAD, "archive/version": b"3"})


EXPORTS: dict[str, Callable[[dict[str, bytes]], None]] = {
    "reads a file": retargeted("torch.ops.aten.from_file.default"),
    "a space of others": retargeted("torch.ops.evil.run.default"),
    "any function": retargeted("os.system"),
    "an operator of Python": retargeted("_operator.attrgetter"),
    "pickled weights": pickled_weights,
    "a pickle in the inputs": poisoned_inputs,
    "no archive in the inputs": lambda files: files.update({"exported/data/sample_inputs/model.pt": PAYLOAD}),
    "compiled code": lambda files: files.update({"exported/data/aotinductor/model/model.so": b"\x7fELF"}),
    "an object of its own": lambda files: files.update({"exported/data/constants/custom_obj_0": PAYLOAD}),
    "a pickle": lambda files: files.update({"exported/data.pkl": PAYLOAD}),
    "no JSON": lambda files: files.update({"exported/models/model.json": b"{" * 100_000}),
    "another folder": lambda files: files.update({"other/models/model.json": b"{}"}),
}


@pytest.mark.parametrize("label", EXPORTS)
def test_exported_graphs_that_could_run_more_are_refused(label: str) -> None:
    with pytest.raises(Refusal):
        torch_files.read_export(changed(EXPORTS[label]))


def test_a_lying_end_of_the_archive_is_refused() -> None:
    """torch writes the end of its archives twice; where the two differ, readers could."""
    data = bytearray((DATA / "frozen.pt").read_bytes())
    for place in (-98 + 24, -98 + 32, -98 + 40, -98 + 48, -42 + 8, -42 + 4):
        damaged = bytearray(data)
        damaged[place] ^= 1
        assert formats.recognise(bytes(damaged)) == "pytorch"
    assert formats.recognise(bytes(data)) == "torchscript"


def test_no_listed_operator_touches_files() -> None:
    assert not {"from_file", "save", "load", "_print", "fork", "wait"} & torch_code.operators()
    assert len(torch_code.operators()) > 400


def test_without_an_environment_the_format_is_refused_with_advice(tmp_path: Path) -> None:
    report = examined(tmp_path, {"model.pt": DATA / "traced.pt"})
    assert report.failed.check == "sandbox"
    assert "PyTorch" in str(report.failed.reason)
    assert "ONNX" in str(report.failed.advice)


def test_without_packages_it_is_said_what_is_missing(tmp_path: Path) -> None:
    offline = Environments(tmp_path / "home", BuildSettings(offline=True, index_url="http://127.0.0.1:9/simple"))
    (tmp_path / "home").mkdir()
    with pytest.raises(ToolError) as error:
        examined(tmp_path, {"model.pt": DATA / "traced.pt"}, environments=offline)
    assert error.value.kind == "packages"


@pytest.mark.engine
@pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")
@pytest.mark.parametrize("name", [*SCRIPTS, "exported.pt2"])
def test_a_network_is_converted_in_its_own_environment(name: str, tmp_path: Path) -> None:
    report = examined(tmp_path, {"model": DATA / name}, environments=environment_of("torch"))
    assert report.verdict.accepted, report.checks
    verdict, saved_with = report.verdict, "2.13" if name == "exported.pt2" else ""  # a script does not say
    assert (verdict.framework, verdict.framework_version[:4], verdict.served_format) == ("pytorch", saved_with, "onnx")
    assert verdict.signature
    assert [(t.name, t.datatype, t.shape) for t in verdict.signature.inputs] == [("x", "FP32", (-1, 4))]
    assert [(t.name, t.datatype, t.shape) for t in verdict.signature.outputs] == [("output", "FP32", (-1, 3))]
    assert verdict.parity["passed"]
    assert verdict.parity["max_abs_diff"] < 1e-5


def test_the_reader_takes_what_the_standard_library_writes() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members("traced.pt").items():
            archive.writestr(name, content)
    assert torch_files.read_script(buffer.getvalue()).members == 24
