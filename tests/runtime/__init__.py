"""The inference server, started as a driver starts it: real bundles, real models, real sockets."""
