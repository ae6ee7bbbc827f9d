"""The inference server that every bundle carries.

This package is cargo: the builder copies it into a bundle as ``slipway_runtime`` and a driver starts it there with
``python -m slipway_runtime``. It imports nothing of the control plane and nothing of the control plane imports it; its
words with the world are HTTP and the environment variables of ``settings``.

``settings manifest``              what to serve, where, and under which limits
``loaders``                        one module for each model format
``warmup``                         the first call: does the model answer as it did when it was examined, and how fast
``connection exchange wire``       HTTP/1.1, with limits on everything
``decoding answers tensors``       Open Inference Protocol v2, JSON and binary
``batching``                       who is called with whom
``application``                    which path means what
``metrics``                        what was measured, for Prometheus and for the statistics extension
``server serving``                 listen, become ready, drain, stop
"""
