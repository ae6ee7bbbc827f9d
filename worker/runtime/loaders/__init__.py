"""One module for each model format, imported only when a bundle needs it: its library may be missing otherwise.

Every module offers ``load(manifest, threads) -> Model``. A new format is one module here and one line in ``MODULES``.
"""
