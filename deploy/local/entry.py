"""What a child does before it becomes the program it was started as; a script on the standard library alone.

    python -I -S entry.py IDENTITY PARENT_PID PROGRAM [ARGUMENT ...]

It asks the kernel to be ended with its parent, takes on the identity asked for and replaces itself by the program,
under the same process id. A script, because the parent may have threads and native libraries that do not survive
running Python between fork and exec (seen: a crash in the forked copy of a test process).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
UNPRIVILEGED_ID = 65534
"""`nobody`, which every Linux knows; PostgreSQL refuses to run under an id without a name."""
PARENT_IS_GONE = 70


def main(arguments: list[str]) -> None:
    """Enter and become the program; `probe` as identity only tries out a user namespace."""
    identity, parent, *program = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if identity == "probe":
        enter_user_namespace(libc)
        return
    if identity == "NAMESPACE":
        enter_user_namespace(libc)
    elif identity == "UNPRIVILEGED":
        os.setgroups([])
        os.setgid(UNPRIVILEGED_ID)
        os.setuid(UNPRIVILEGED_ID)
    # A change of user id clears the request, so it comes last; and the parent may be gone already.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(PARENT_IS_GONE)
    os.execv(program[0], program)  # noqa: S606 - becoming the program is what this is for


def enter_user_namespace(libc: ctypes.CDLL) -> None:
    """Be seen as an unprivileged user inside a namespace of its own. Raises OSError where the kernel forbids it."""
    user_id, group_id = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{UNPRIVILEGED_ID} {group_id} 1"),
        ("uid_map", f"{UNPRIVILEGED_ID} {user_id} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
