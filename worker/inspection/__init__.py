"""Looks into an uploaded file: what it is, whether it is safe, whether it works, and what of it will be served.

examination   the checks in their order, and the verdict
intake        finds the one model in an upload; formats recognises by content, foreign says what else it could be
archives      reads zip and tar; layers takes off compression; onnx_files and skops_files read those two
safety        whether the file may be opened: pickles is the inert machine, allowlist the names it lets pass
probing       runs a probe in the sandbox and reads along; outcomes puts its words into sentences
serving       looks again at the file that the sandbox left to be served
probes/       what runs in there, the only place that opens models and imports their libraries

Nothing here but ``probes`` imports a library for models, and nothing outside the sandbox unpickles.
"""

from worker.inspection.examination import examine

__all__ = ["examine"]
