"""What single facts of the evidence are called on pages; the names themselves are the tools'."""

from django.utils.translation import gettext_lazy as _

FACTS = {
    # content
    "kind": _("kind"),
    "bytes": _("bytes"),
    "name": _("name"),
    "layers": _("compressed with"),
    "archive": _("archive"),
    "beside": _("files beside it"),
    "labels": _("class labels"),
    # safety and sandbox
    "tier": _("tier"),
    "names": _("names"),
    "opsets": _("operator sets"),
    "raw_arrays": _("raw arrays"),
    "root": _("outermost type"),
    "wall": _("wall"),
    "log": _("log"),
    "exit_code": _("exit code"),
    "signal": _("signal"),
    "error": _("error"),
    # load, signature and prediction
    "library": _("library"),
    "written_by": _("written by version"),
    "version": _("opened by version"),
    "notes": _("notes"),
    "inputs": _("inputs"),
    "outputs": _("outputs"),
    "classes": _("classes"),
    "is_own": _("your own example"),
    "response": _("answer"),
    # conversion
    "served": _("served as"),
    "file": _("file"),
    "parity": _("parity"),
    "onnx_parity": _("parity of ONNX"),
    "samples": _("samples"),
    "max_abs_diff": _("largest difference"),
    "tolerance": _("tolerance"),
    "label_agreement": _("share of equal labels"),
    "passed": _("within tolerance"),
    "missing": _("missing"),
    "trusted": _("trusted types"),
    # profile
    "memory_bytes": _("memory of the process (bytes)"),
    "model_memory_bytes": _("memory of the model (bytes)"),
    "file_bytes": _("file (bytes)"),
    "latency_ms": _("latency (ms)"),
    "batch_8": _("8 rows"),
    "batch_32": _("32 rows"),
    "requirements": _("packages"),
}
