"""Stands between a wall and the program behind it: builds what the wall needs, drops every right, watches, reports.

Started as its own isolated interpreter (``python -I -S``) with one JSON plan as argument. Standard library only, and
nothing here imports the rest of the project: the folder is visible behind the wall.

main         reads the plan
namespaces   our own wall: user, mount, network, process, IPC, host-name and cgroup namespaces with a new root
warden       forks the program, counts its threads and memory, ends it, reports how it ended
privileges   resource limits, capabilities, no-new-privileges
landlock     which paths may be read and written
seccomp      which system calls are refused
libc         the system calls the standard library has no function for
"""
