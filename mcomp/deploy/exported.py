"""What LiteRT and ExecuTorch share: torch's exported program of a network, and files that take one batch."""

import torch

from mcomp.arrays import bad_value
from mcomp.deploy.checks import check_example
from mcomp.train import evaluating

__all__ = ["by_batch", "exported"]


def exported(model, example, batch, path):
    """Write the program that `torch.export` makes of `model` for batches of that size; returns the path.

    Raises
    ------
    ValueError
        If it can't: with the first line of what torch says.
    """
    x = check_example(example)[torch.arange(batch) % len(example)].contiguous()
    try:
        with evaluating(model), torch.no_grad():
            torch.export.save(torch.export.export(model, (x,)), path)
    except Exception as error:  # it has many classes of its own
        told = f"{type(model).__name__}: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        raise bad_value("a network to export", told, "one that torch.export follows") from None
    return path


def by_batch(run, shape, x):
    """The logits of all images by a function that takes the batch `shape` only; the last one is filled up.

    Examples
    --------
    >>> by_batch(lambda x: x + 1, (2, 3), torch.zeros(5, 3)).shape
    torch.Size([5, 3])
    """
    if tuple(x.shape[1:]) != tuple(shape[1:]) or len(x) == 0:
        raise bad_value(f"images of shape {tuple(x.shape)}", "another size", f"what the file takes, {shape}")
    x, parts = x.detach().contiguous(), []
    if len(x) == shape[0]:  # nothing to split: a call of one image pays for every step
        return run(x)
    for part in x.split(int(shape[0])):
        short = int(shape[0]) - len(part)
        full = torch.cat([part, part[-1:].expand(short, *part.shape[1:])]) if short else part
        parts.append(run(full)[: len(part)])
    return parts[0] if len(parts) == 1 else torch.cat(parts)
