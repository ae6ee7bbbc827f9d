"""The gateway against real sockets: a real server process, and replicas that behave well or badly on purpose."""
