"""What a process may do while it runs a stranger's function: memory, processor time, network, files.

Two fences. On Linux, where unprivileged namespaces are allowed, the process gets its own network (with no
device), its own process numbers and its own view of the files: read-only, with the folders that hold
expected results hidden. Everywhere, an audit hook (PEP 578), which Python code can't take out again,
refuses sockets, new processes, signals, writing and deleting files, loading libraries, and reading what is
hidden. The hook alone stops Python code, not an attack on the interpreter itself.
"""

import contextlib
import ctypes
import os
import signal
import struct
import sys

NEW_SPACES = 0x00020000 | 0x08000000 | 0x20000000 | 0x40000000  # CLONE_NEWNS, NEWIPC, NEWPID, NEWNET
NEW_USER = 0x10000000  # CLONE_NEWUSER
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000  # the number is the same on every architecture
READ_ONLY, PRIVATE = 1, 1 << 18  # MOUNT_ATTR_RDONLY, MS_PRIVATE
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_V3 = 0x20080522

REFUSED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
    "pty.spawn", "os.kill", "signal.pthread_kill", "os.remove", "os.rename", "os.rmdir", "os.link",
    "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.chflags", "os.utime", "os.mkdir", "os.setxattr",
    "os.removexattr", "shutil.", "ctypes.", "gc.get_", "sqlite3.", "webbrowser.", "winreg.", "ftplib.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NAMESPACES = "Linux namespaces: no network, files read-only"
NETWORK = "a Linux namespace without network; files guarded in Python only"
REFUSAL = "is refused while an answer is graded"
HOOK = "sockets and files guarded in Python only"


def enter(hidden=(), scratch=None):
    """Move this process into namespaces of its own, where that is allowed. Call it before threads exist.

    Returns
    -------
    fence : str
        NAMESPACES, NETWORK or HOOK: what stands between the answer and the network, and the files.
    """
    if sys.platform != "linux":
        return HOOK
    libc, ids = ctypes.CDLL(None, use_errno=True), (os.getuid(), os.getgid())
    if libc.unshare(NEW_SPACES | NEW_USER) == 0:
        for name, text in zip(("setgroups", "uid_map", "gid_map"), ("deny", *ids), strict=True):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text if name == "setgroups" else f"{text} {text} 1")
    elif libc.unshare(NEW_SPACES) != 0:
        return HOOK
    _become_child(libc)  # number 1 of the new process numbers: when it ends, all the others do
    mounted = _mount(libc, hidden, scratch)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.capset(struct.pack("Ii", CAPABILITY_V3, 0), bytes(24))
    return NAMESPACES if mounted else NETWORK


def _become_child(libc):
    """Go on in a child; the parent waits and ends as it does. The child never outlives the parent."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _mount(libc, hidden, scratch):
    """All files read-only, empty folders over `hidden`, a small one in memory over `scratch`: done?"""
    failed = libc.mount(None, b"/", None, ctypes.c_ulong(PRIVATE | 0x4000), None)  # MS_REC
    for folder in hidden:
        failed |= libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(1), b"size=4k")
    libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None)  # refused in some containers
    attributes = struct.pack("QQQQ", READ_ONLY, 0, 0, 0)
    failed |= libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.c_size_t(32))
    if scratch:
        libc.mount(b"tmpfs", os.fsencode(scratch), b"tmpfs", ctypes.c_ulong(0), b"size=16m")
        os.chdir(scratch)
    return not failed


def limit(*, memory, seconds):
    """Cap memory (bytes beyond what the process has now), processor time, written files, core dumps."""
    try:
        import resource
    except ImportError:  # Windows: the grader's clock is the only limit
        return
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    caps = {"AS": _size() + memory, "CPU": int(used + seconds) + 1, "FSIZE": 1 << 24, "CORE": 0}
    for name, cap in caps.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            number = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(number)[1]
            cap = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
            resource.setrlimit(number, (cap, cap))


def _size():
    """Bytes of address space in use; where that can't be known, a generous guess."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 1 << 33


def refuse(*, hidden=(), scratch=None, modules=("mcomp.course.specs",)):
    """Put in the audit hook; there is no way back. Opening a file below `hidden`, or for writing elsewhere
    than below `scratch`, raises PermissionError, and so does importing `modules` and all in REFUSED.
    """
    real, string = os.path.realpath, os.fsdecode
    closed = tuple(real(folder) + os.sep for folder in hidden)
    free = (real(scratch) + os.sep if scratch else os.devnull, real(os.devnull))

    def hook(event, args):
        if event.startswith(REFUSED) or (event == "import" and args[0].startswith(modules)):
            raise PermissionError(f"{event} {REFUSAL}")
        if event == "open" and isinstance(args[0], (str, bytes)):
            path, flags = real(string(args[0])), args[2]
            if path.startswith(closed) or (flags & WRITING and not path.startswith(free)):
                raise PermissionError(f"opening {os.path.basename(path)} {REFUSAL}")

    sys.addaudithook(hook)
