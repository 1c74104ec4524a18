"""Standard output switched off, that of C too: some engines print what the processor can."""

import contextlib
import os
import sys

__all__ = ["hushed"]


@contextlib.contextmanager
def hushed():
    """What is printed inside goes nowhere.

    Examples
    --------
    >>> with hushed():
    ...     _ = os.write(1, b"the device supports")
    """
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
        sys.stdout.flush()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
