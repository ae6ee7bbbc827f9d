"""The data plane's front door: a raw ASGI application without tables.

A request goes through these rooms in this order:

``serving``    uvicorn, which owns sockets, signals and the process's life
``protocol``   HTTP/1.1 on a client's connection, strictly: what is malformed ends here
``exchanges``  one request and its answer in the words of ASGI
``app``        one call from its head to its line in the books; ``calls`` holds it, and the watch that ends late ones
``requests``   what of the head matters, and the closed grammar of addresses
``admission``  who is calling, may they, and how often: keys, scopes, rates
``sharing``    rates counted together with other gateways, where there is a Redis
``routing``    which deployment gets the call, and which of its replicas
``forwarding`` the exchange itself: buffered or streamed, tried again where that is safe
``upstream``   one kept-alive HTTP/1.1 connection to a replica
``metering``   counts and latencies in windows of ten seconds, kept until they are collected
``internal``   /healthz, /metrics and the windows, for the house itself

What may be called comes from ``tables``: a frozen snapshot that ``refreshing`` renews every second and keeps on disk,
so that the gateway goes on, and even starts, while the database is away. Only ``snapshot`` touches Django.
"""
