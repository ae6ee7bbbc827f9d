"""How long each thing may take, in seconds.

The first two are promises to users. The others only end what hangs: they leave room for a machine that is busy with
other tests, and nothing waits longer than it must.
"""

REVOKED = 5.0
HEALED = 30.0

PAGE = 45.0
EXAMINED = 180.0
LIVE = 300.0
MEASURED = 90.0
FIRED = 90.0
