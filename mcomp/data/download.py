"""Files from the network: checked by SHA-256, resumed where they broke off, in place whole or not at all.

A file is known in advance by its size and its SHA-256, so it doesn't matter which mirror sends it or in how
many attempts: what arrives goes into `NAME.part`, and only a `NAME.part` with that SHA-256 becomes `NAME`.
"""

import hashlib
import http.client
import os
import re
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

__all__ = ["fetch", "file_sha256"]

CHUNK = 2**16


def file_sha256(path):
    """The SHA-256 of a file as 64 hex digits, read in pieces.

    Examples
    --------
    >>> import os
    >>> file_sha256(os.devnull)[:16]
    'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def fetch(urls, path, *, sha256, nbytes, attempts=3, timeout=20.0, progress=True):
    """Make `path` the file with this SHA-256: nothing to do if it is there, else download it.

    Parameters
    ----------
    urls : sequence of str
        Mirrors of one file, tried in this order.
    path : path-like
        Where the file shall be. Its folder is made if needed.
    sha256 : str
        64 hex digits. A download that differs is deleted.
    nbytes : int
        Size of the file. No more than this is ever written.
    attempts : int
        Connections to each mirror; each goes on where the last one broke off.
    timeout : float
        Seconds without a byte before a connection counts as broken.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ConnectionError
        If no mirror delivered the file: says what to do. What arrived is kept for the next call.
    ValueError
        If a mirror delivered something else.
    """
    path, complaints = Path(path), {}
    if path.exists() and (found := file_sha256(path)) == sha256:
        return path
    if path.exists():
        complaints[f"the file there has SHA-256 {found}; allowed: {sha256}"] = False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(f"{path}.part")
    for url in [url for url in urls for _ in range(attempts)]:
        try:
            _transfer(url, part, nbytes, timeout, progress)
            _accept(part, path, sha256)
            return path
        except (OSError, http.client.HTTPException, ValueError) as error:
            complaints[f"{url}: {error}"] = isinstance(error, ValueError)
    kind = ValueError if any(complaints.values()) else ConnectionError
    raise kind(_advice(path, urls, complaints))


def _size(part):
    return part.stat().st_size if part.exists() else 0


def _accept(part, path, sha256):
    """Give the file its name, or delete it if it isn't the one."""
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise ValueError(f"its SHA-256 is {found}; allowed: {sha256}")
    os.replace(part, path)


def _advice(path, urls, complaints):
    seen = "\n  ".join(complaints)
    return (
        f"could not get {path.name}:\n  {seen}\n"
        f"Check the network and call again (it goes on where it broke off), or download {urls[0]} elsewhere "
        f"and put it at {path}, or set MCOMP_DATA to a folder that has it."
    )


def _transfer(url, part, nbytes, timeout, progress):
    """Add to `part` what is missing of its `nbytes`; OSError if the connection ends early."""
    have = _size(part) if _size(part) <= nbytes else 0
    if have == nbytes:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        start = _start_of(answer, have)
        part.touch()
        with open(part, "r+b") as file, _bar(part, start, nbytes, progress) as bar:
            file.truncate(start)
            file.seek(start)
            _copy(answer, file, nbytes - start, bar)
            file.flush()
            os.fsync(file.fileno())


def _start_of(answer, have):
    """The position of the first byte of an answer: `have` if the server honoured the range, else 0."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have:
        raise OSError(
            f"asked for the bytes from {have}, got Content-Range {answer.headers.get('Content-Range')!r}"
        )
    return have


def _copy(answer, file, count, bar):
    """`count` bytes from the answer to the file; OSError if there are fewer. More are left unread."""
    while count > 0:
        piece = answer.read(min(CHUNK, count))
        if not piece:
            raise OSError(f"the connection ended {count} bytes early")
        file.write(piece)
        count -= len(piece)
        bar.update(len(piece))


def _bar(part, start, nbytes, progress):
    name = part.name.removesuffix(".part")
    return tqdm(
        desc=name, initial=start, total=nbytes, unit="B", unit_scale=True, leave=False, disable=not progress
    )
