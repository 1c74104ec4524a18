"""What somebody asks for on the command line: the network, the data, the file to write."""

from pathlib import Path

from mcomp.arrays import bad_value

__all__ = ["data_of", "network_of", "opening", "shown", "unopened", "writable"]


def network_of(name, seed, factory):
    """The network in a file, of the zoo, or that --model makes; ValueError says what is allowed."""
    from mcomp import factories, zoo
    from mcomp.file import load

    if name is not None and Path(name).is_file():
        return load(name, **opening(Path(name), factory))
    if factory is not None:
        if name is not None:
            raise bad_value("network", name, "a file, or none, beside --model")
        return factories.network_of(factory)
    if name not in zoo.NAMES:
        raise bad_value(
            "network", name, f"{', '.join(zoo.NAMES)}, a file, or --model package.module:function"
        )
    return zoo.load(name, seed)


def opening(path, factory):
    """What `load` needs with this --model: its name, if the file has the same, or the network it makes."""
    from mcomp import factories
    from mcomp.file import read

    if factory is None:
        return {}
    if read(path, max_bytes=path.stat().st_size).metadata.get("factory") == factory:
        return {"factory": factory, "max_weights": 10**9}
    return {"model": factories.network_of(factory)}


def unopened(path):
    """The rows of a file of which nobody has said what network it is of: how many bytes each tensor has."""
    from mcomp.file import read

    contents = read(path, max_bytes=path.stat().st_size)
    kinds = ("plain", "sparse", "codebook", "codec")  # by the tag, see mcomp.codecs.codes
    rows = []
    for i, (_, n) in enumerate(contents.spans):
        part = contents.part(i)
        kind = "equal" if contents.refers(i) else kinds[min(part[0], 3)] if part else ""
        rows.append((f"tensor {i + 1}", kind, None, n, 0.0))
    return [*rows, ("", "format", None, contents.nbytes - sum(row[3] for row in rows), 0.0)]


def data_of(name):
    """The data set of that name, or what ``package.module:function`` makes."""
    import mcomp.data
    from mcomp import factories

    return factories.data_of(name) if ":" in name else mcomp.data.load(name)


def shown(data):
    """What a web page shows of the data set: some test images, their labels, the names of the classes."""
    from mcomp.deploy.html import pictures

    example, labels = pictures(data.test)
    return {"example": example, "labels": labels, "classes": data.classes}


def writable(path):
    """`path`, if a file can be there: told before the minutes of training, not after."""
    if path.is_dir() or not path.parent.is_dir():
        raise bad_value("out", str(path), "a file in a folder that exists")
    return path
