"""Runs a program that dies with the process that started it: `leash.py PARENT_PID PROGRAM [ARGUMENT…]`.

Linux tells a process of its parent's death when asked to (prctl(2), PR_SET_PDEATHSIG). The setting survives execve(2),
so the program needs no helper beside it, and is killed even when its owner is killed with SIGKILL. It is asked for
here, in a fresh interpreter, not in a `preexec_fn`: that runs between fork and exec of a program that may have threads.

The signal comes at the end of the *thread* that started this process; `processes.py` starts everything from one thread
that lives as long as its process. Elsewhere than on Linux the program is simply executed, and ends only when stopped.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            sys.exit(f"leash: prctl(PR_SET_PDEATHSIG) failed: {os.strerror(code)}")
    if os.getppid() != parent:
        sys.exit(f"leash: process {parent} has ended already; {program[0]} is not started")
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.exit(f"leash: cannot run {program[0]}: {error.strerror}")


main()
