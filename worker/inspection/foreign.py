"""The formats that we recognise and do not take, each with what to upload instead."""

from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

ACCEPTED = (
    "ONNX (also with weights in other files), scikit-learn (skops, joblib, pickle), XGBoost (JSON, UBJSON),"
    " LightGBM (text), TorchScript, torch.export (.pt2), Keras,"
    " TensorFlow SavedModel, MLflow folders of the first four"
)

_TO_ONNX_TORCH = gettext_noop(
    "Export the model with torch.onnx.export(model, example, 'model.onnx'), or save it with torch.export.save or"
    " torch.jit.save, and upload that file."
)
_TO_ONNX_TF = gettext_noop(
    "Convert it with tf2onnx (python -m tf2onnx.convert … --output model.onnx) and upload that file."
)
_MODEL_ITSELF = gettext_noop("Upload the trained model itself, in one of the accepted formats.")
_PACK_AGAIN = gettext_noop("Upload the model file itself, or pack it again as a plain .zip or .tar.gz.")
_NATIVE_XGBOOST = gettext_noop("Save it with model.save_model('model.json') and upload that file.")
_WHOLE_FILE = gettext_noop("Save the model again and upload the whole file.")

FORMATS: dict[str, tuple[str, str]] = {
    "empty": (gettext_noop("The file is empty."), _WHOLE_FILE),
    "onnx_truncated": (gettext_noop("This looks like an ONNX file that ends in the middle."), _WHOLE_FILE),
    "pytorch": (
        gettext_noop("This is a PyTorch file of pickled objects or weights, which can run code when opened."),
        _TO_ONNX_TORCH,
    ),
    "torch_export_old": (
        gettext_noop("This is a torch.export archive of a PyTorch before 2.8."),
        gettext_noop("Save it again with torch.export.save in a current PyTorch, or export it to ONNX."),
    ),
    "pytorch_legacy": (gettext_noop("This is an old PyTorch file, which can run code when opened."), _TO_ONNX_TORCH),
    "safetensors": (
        gettext_noop("This is a safetensors file: it holds weights, but not how to compute with them."),
        gettext_noop("Load the weights into the model and export the whole to ONNX."),
    ),
    "hdf5": (
        gettext_noop("This is an HDF5 file without a whole Keras model."),
        gettext_noop("Save the model, not only its weights: model.save('model.keras')."),
    ),
    "keras_json": (gettext_noop("This is the description of a Keras model, without its weights."), _TO_ONNX_TF),
    "tensorflow_graph": (gettext_noop("This looks like a frozen TensorFlow graph."), _TO_ONNX_TF),
    "tfjs": (gettext_noop("This is a TensorFlow.js model."), _TO_ONNX_TF),
    "tflite": (
        gettext_noop("This is a TensorFlow Lite model, made for phones."),
        gettext_noop("Convert it with tf2onnx (python -m tf2onnx.convert --tflite …) and upload the ONNX file."),
    ),
    "coreml": (gettext_noop("This looks like a Core ML model, which runs on Apple devices only."), _MODEL_ITSELF),
    "mlpackage": (gettext_noop("This is a Core ML package, which runs on Apple devices only."), _MODEL_ITSELF),
    "pmml": (
        gettext_noop("This is a PMML document."),
        gettext_noop("Upload the scikit-learn, XGBoost or LightGBM model that it was made from."),
    ),
    "openvino": (
        gettext_noop("This is an OpenVINO model."),
        gettext_noop("Upload the ONNX file that it was made from."),
    ),
    "gguf": (gettext_noop("This is a GGUF language model, which needs a server of its own kind."), _MODEL_ITSELF),
    "catboost": (
        gettext_noop("This is a CatBoost model."),
        gettext_noop("Save it with model.save_model('model.onnx', format='onnx')."),
    ),
    "old_xgboost": (
        gettext_noop("This is an XGBoost model in its old binary format, which XGBoost itself no longer writes."),
        _NATIVE_XGBOOST,
    ),
    "xgboost_dump": (
        gettext_noop("This is a text dump of an XGBoost model, which cannot be loaded again."),
        _NATIVE_XGBOOST,
    ),
    "lightgbm_json": (
        gettext_noop("This is a JSON dump of a LightGBM model, which cannot be loaded again."),
        gettext_noop("Save it with booster.save_model('model.txt') and upload that file."),
    ),
    "old_joblib": (
        gettext_noop("This file was written by joblib before version 0.10."),
        gettext_noop("Load it and save it again with a current joblib."),
    ),
    "lz4": (
        gettext_noop("The file is packed with LZ4."),
        gettext_noop("Save it again without compression, or with zlib, gzip, bz2, lzma or xz."),
    ),
    "zstd": (
        gettext_noop("The file is packed with Zstandard."),
        gettext_noop("Save it again without compression, or with zlib, gzip, bz2, lzma or xz."),
    ),
    "7z": (gettext_noop("This is a 7-Zip archive."), _PACK_AGAIN),
    "rar": (gettext_noop("This is a RAR archive."), _PACK_AGAIN),
    "zip": (gettext_noop("This is an archive inside an archive."), _PACK_AGAIN),
    "tar": (gettext_noop("This is an archive inside an archive."), _PACK_AGAIN),
    "npy": (gettext_noop("This is a numpy array, not a model."), _MODEL_ITSELF),
    "npz": (gettext_noop("This is a collection of numpy arrays, not a model."), _MODEL_ITSELF),
    "parquet": (gettext_noop("This is a table of data, not a model."), _MODEL_ITSELF),
    "database": (gettext_noop("This is a database, not a model."), _MODEL_ITSELF),
    "image": (gettext_noop("This is a picture or a sound, not a model."), _MODEL_ITSELF),
    "document": (gettext_noop("This is a document, not a model."), _MODEL_ITSELF),
    "program": (gettext_noop("This is a program, not a model."), _MODEL_ITSELF),
    "mlmodel": (
        gettext_noop("This is the MLmodel file of an MLflow folder, without the model."),
        gettext_noop("Upload the whole folder that MLflow wrote, as files or as a zip."),
    ),
    "notebook": (
        gettext_noop("This is a notebook, not a model."),
        gettext_noop("Save the model at the end of the notebook, for example with skops.io.dump."),
    ),
    "code": (gettext_noop("This is source code, not a model."), _MODEL_ITSELF),
    "html": (gettext_noop("This is a web page; the download may have ended at a sign-in page."), _MODEL_ITSELF),
    "json": (gettext_noop("This is a JSON document, but not a model that we know."), _MODEL_ITSELF),
    "text": (gettext_noop("This is a text file, not a model."), _MODEL_ITSELF),
    "lfs": (
        gettext_noop("This is a Git LFS pointer: the model itself was not downloaded."),
        gettext_noop("Run “git lfs pull” and upload the real file."),
    ),
    "unknown": (gettext_noop("The content is of no format that we know."), _WHOLE_FILE),
}


def refuse(kind: str) -> Refusal:
    """The refusal of one known or unknown format, by name."""
    reason, advice = FORMATS.get(kind, FORMATS["unknown"])
    return Refusal(Message(reason), Message(advice), {"kind": kind, "accepted": ACCEPTED})
