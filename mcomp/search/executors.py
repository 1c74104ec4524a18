"""Where the jobs of a search run: processes of this machine, or a cluster of Dask workers."""

import re
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from mcomp.arrays import bad_value, check_int

__all__ = ["executor"]

SECONDS = 10  # within which a scheduler must answer


@contextmanager
def executor(on=None, *, workers=2):
    """A `concurrent.futures` executor and how many jobs it takes at once.

    Parameters
    ----------
    on : str, optional
        The address of a Dask scheduler, such as ``tcp://192.0.2.1:8786``. A job whose worker dies is run
        again by another. Default: processes here.
    workers : int
        Processes. A cluster has as many as it has.

    Yields
    ------
    pool : concurrent.futures.Executor
    count : int

    Raises
    ------
    ValueError
        If the address is none, nothing answers there, no worker is connected, or distributed is missing.
    """
    if on is None:
        context = get_context("spawn")
        with ProcessPoolExecutor(check_int("workers", workers, 1), mp_context=context) as pool:
            yield pool, workers
        return
    with _client(on) as client:
        count = sum(client.nthreads().values())
        if not count:
            raise bad_value("the cluster's workers", 0, "at least one: start `dask worker` with its address")
        pool = client.get_executor(pure=False)
        yield pool, count
        pool.shutdown(wait=False)


def _client(address):
    if not re.fullmatch(r"(tcp|tls|ws|wss)://.+:\d+", address):
        raise bad_value("on", address, "the address of a Dask scheduler, such as tcp://192.0.2.1:8786")
    try:
        from distributed import Client
    except ImportError:
        raise bad_value("on", address, "with distributed installed: pip install 'mcomp[search]'") from None
    try:
        return Client(address, timeout=SECONDS, set_as_default=False)
    except OSError as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from None
