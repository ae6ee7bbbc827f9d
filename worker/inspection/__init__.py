"""Looks into an uploaded file: what it is, whether it is safe, whether it works, and what of it will be served.

examination   the checks in their order, and the verdict
intake        finds the one model in an upload; formats recognises by content, foreign says what else it could be
candidates    the files of an upload as they are looked at; labels reads class names
archives      reads zip and tar; layers takes off compression; protobuf and yaml_files read those two
onnx_files, onnx_external, skops_files, booster_files, safetensors_files        a format each
lightgbm_wrappers     the booster in LightGBM's wrapper, which MLflow saves with skops
mlflow_folders, mlflow_signatures     the inner model of an MLflow folder, and what it says of its inputs
safety        whether the file may be opened: pickles is the inert machine, allowlist the names it lets pass,
              exceptional those that people may grant for one file; second_opinion asks another scanner, for people
networks      formats of libraries that are not ours: torch_files with torch_code, tensorflow_files, keras_files with
              keras_config; what passes is opened in one of the environments, and served as ONNX
probing       runs a probe in the sandbox and reads along; outcomes puts its words into sentences
serving       looks again at the file that the sandbox left to be served
probes/       what runs in there, the only place that opens models and imports their libraries

Nothing here but ``probes`` imports a library for models, and nothing outside the sandbox unpickles.
"""

from worker.inspection.examination import examine

__all__ = ["examine"]
