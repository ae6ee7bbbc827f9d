"""Runs untrusted code with no network, no secrets and firm limits, without root and with nothing installed.

values      Limits, Outcome and Wall: what goes in and comes out
walls       the command line that puts a program behind one kind of wall
proof       which walls this machine has, found by trying to get through them
running     ``run`` and ``command``: what others call
execution   runs one walled command line to its end, whatever it does
launcher/   the program that builds the walls from inside; standard library only, it never imports the rest

Three kinds of wall, strongest first: *bubblewrap* where it is installed, our own *namespaces*, and *landlock*, which
shares the machine's process list but can neither read, write nor reach anything. Seccomp, Landlock, dropped
capabilities, resource limits and a warden that counts threads and memory apply inside all three. The program may
start threads but no processes: nothing can outlive it, and there is nothing to bomb the machine with.
"""

from worker.sandbox.proof import UNWALLED, available, strongest
from worker.sandbox.running import command, run
from worker.sandbox.values import Limits, Outcome, Wall

__all__ = ["UNWALLED", "Limits", "Outcome", "Wall", "available", "command", "run", "strongest"]
