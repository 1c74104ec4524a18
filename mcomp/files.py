"""Write a whole file or nothing."""

import os
import uuid
from pathlib import Path


def write_atomic(path, data):
    """Write the bytes `data` to `path` so that a crash leaves the old file or the new, never a part.

    Written beside it under a temporary name, flushed to the disk, then renamed. Returns the path. `data` may
    also be an iterable of bytes, written one after the other.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            for part in [data] if isinstance(data, bytes) else data:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
