"""What breaks, broken on purpose, with figures: so many survived of so many, so many seconds until all was well.

``points``    every place where a process can die or fall asleep
``host``      a target on disk: what runs there outlives every worker, as on a real host
``lab``       a stage on a database of its own, with time running faster, and the wishes that people have meanwhile
``workers``   workers forked from this process, in milliseconds: true ones, and a naive one that must be found out
``storm``     wishes, kills and pauses all at once
``verdicts``  what must hold when it is over: nothing lost, nothing left over, nothing routed to what is not there
``callers``   callers who try again only where they were refused, and count what became of every call
``fleet``     endpoints on real Docker hosts, and workers that look after them
``production``, ``scene``  the real processes on real servers, and people on them

How much is broken follows ``SLIPWAY_FAULT_ROUNDS``: a little by default, 200 where there is time for everything.
"""

import os

ROUNDS = int(os.environ.get("SLIPWAY_FAULT_ROUNDS", "5"))
