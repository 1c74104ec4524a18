"""How many threads torch takes, and how they wait: to be settled before torch is imported."""

import os
import sys
from pathlib import Path

MOST = 4  # the networks of the course are small: beyond that, threads wait for each other


def calm():
    """Let torch take the physical cores that this process may use, at most 4, and let idle threads sleep.

    OpenMP's threads spin while they wait. On cores that others use as well they take from the thread they
    wait for: with ten busy processes on two cores a training step of LeNet-300-100 took 218 ms, and 8 with
    this. What the environment says already (OMP_NUM_THREADS, OMP_WAIT_POLICY) holds.
    """
    count = str(min(MOST, cores()))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    torch = sys.modules.get("torch")
    if torch is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(int(count), torch.get_num_threads()))
    os.environ.setdefault("OMP_NUM_THREADS", count)


def cores(root="/sys/devices/system/cpu"):
    """Physical cores that this process may use, at least 1; where the system doesn't tell, all it has.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    numbers = os.sched_getaffinity(0)
    lists = [Path(root, f"cpu{number}", "topology", "thread_siblings_list") for number in numbers]
    return len({path.read_text() if path.is_file() else path for path in lists})
