"""From a trained network to a small file: prune, share values, code (Han et al. 2015, arXiv:1510.00149).

`compress(model, recipe, data)` runs the stages of a recipe (see mcomp/recipes) and returns a `Result`.
Chapter 00 walks through it.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table

from mcomp import distill, zoo
from mcomp.codecs import Codebook, Sparse
from mcomp.codecs.attachment import attach, attached, bake
from mcomp.codecs.priced import PricedCodebook
from mcomp.file.container import load, save
from mcomp.layers import matrices, untouched
from mcomp.measure.sizes import float32_bytes
from mcomp.prune.masks import sparsity
from mcomp.recipes import Prune, Recipe, Share, load_recipe, recipes
from mcomp.recipes.fitting import recipe_for
from mcomp.stages import GradualPruning, Settle, halved, start_pruning, tidied, with_moved
from mcomp.train import evaluate, fit

__all__ = [
    "GradualPruning", "Prune", "Recipe", "Result", "Settle", "Share", "compress", "half_codebooks",
    "load_recipe", "recipe_for", "recipes", "start_pruning", "start_sharing", "teachers", "teaching",
]  # fmt: skip


@dataclass
class Result:
    """A compressed network: `model`, plain again and ready to be saved, and the `original`.

    `notes` are sentences about what the recipe did otherwise than it says, because of this network.
    """

    model: torch.nn.Module
    original: torch.nn.Module
    recipe: Recipe
    history: dict
    seconds: float
    notes: tuple = ()

    def save(self, path, **options):
        """Write the network to `path`; returns the bytes of the file. Options as of `mcomp.save`."""
        return save(self.model, path, **options)

    def rows(self, data, path):
        """Name, bytes of the file, accuracy on validation and on test, of the original and the small one."""
        rows = [("float32 safetensors", float32_bytes(self.original), self.original)]
        rows.append((Path(path).name, Path(path).stat().st_size, load(path, model=self.model)))
        return [(name, n, evaluate(m, data.validation), evaluate(m, data.test)) for name, n, m in rows]

    def table(self, data, path):
        """The rows as a table for a terminal or a notebook."""
        table = Table("", "bytes", "times smaller", "validation", "test", title=f"{self.seconds:.0f} s")
        rows = self.rows(data, path)
        for name, nbytes, validation, test in rows:
            ratio = f"{rows[0][1] / nbytes:.1f}"
            table.add_row(name, f"{nbytes:,}", ratio, f"{validation:.2%}", f"{test:.2%}")
        return table


def compress(model, recipe, data, *, answers=None, progress=True):
    """Compress a trained classifier by a recipe; the model given isn't changed.

    Parameters
    ----------
    model : torch.nn.Module
        Each weight of `mcomp.matrices` is pruned and shared, each ``*.bias`` is shared.
    recipe : Recipe, dict, path, or name of a recipe
        See `recipe_for`.
    data : mcomp.data.Data, or another object with `.train`, an (x, y) pair; x as in `mcomp.calling`
    answers : tensor (n, classes), optional
        The mean logits of `teachers(model, recipe)` on the images of `mcomp.stages.with_moved(data,
        recipe.moved, recipe.seed).train`, where they are known already.

    Returns
    -------
    result : Result

    Raises
    ------
    ValueError
        If the recipe is wrong or doesn't fit the network, or training with it diverges.
    """
    recipe, notes = recipe_for(recipe, model, data)
    begin, small, history = time.perf_counter(), copy.deepcopy(model), {}
    data = with_moved(data, recipe.moved, recipe.seed)
    loss = teaching(model, recipe, data, answers=answers)
    options = {"batch_size": recipe.batch_size, "loss": loss, "seed": recipe.seed, "progress": progress}
    learn, pruning = halved(recipe.half)(fit), start_pruning(small, recipe.prune)
    history["prune"] = learn(
        small, data, epochs=recipe.prune.epochs, lr=recipe.prune.lr, callbacks=[pruning], **options
    )
    pruning.finish()
    notes += _held_note(pruning) + _whole_note(model)
    small = tidied(bake(small), data) if recipe.tidy else small
    start_sharing(small, recipe)
    history["share"] = learn(
        small, data, epochs=recipe.share.epochs, lr=recipe.share.lr,
        callbacks=[Settle(small, recipe.share.settle)], **options,
    )  # fmt: skip
    half_codebooks(small)
    if progress and notes:
        print(*notes, sep="\n")
    return Result(bake(small), model, recipe, history, time.perf_counter() - begin, notes)


def _held_note(pruning):
    """A sentence about the layers that `Prune.least` kept from losing more."""
    if not pruning.held:
        return ()
    part = pruning.least * (1 - pruning.final)
    return (f"prune.least: {part:.2%} of {', '.join(pruning.held)} stays; one threshold would leave less",)


def _whole_note(model):
    """A sentence about what isn't pruned and shared, though it has two axes or more."""
    left = untouched(model)
    said = "; ".join(f"{name}, because {why}" for name, why in left.items())
    return (f"neither pruned nor shared: {said}",) if left else ()


def start_sharing(model, recipe):
    """From the first stage to the second: the zeros stay, what is left shares values."""
    attach(bake(model), _sharing(model, recipe.share), refresh="step")


def teaching(model, recipe, data, *, answers=None):
    """The distillation loss against the recipe's teacher: itself as it was, or networks of the zoo."""
    teacher = teachers(model, recipe) if answers is None else answers
    return distill.teaching(teacher, data, T=recipe.temperature)


def teachers(model, recipe):
    """The networks that a recipe learns from, whose logits are averaged: `model`, or some of the zoo."""
    if recipe.teacher == "self":
        return [model]
    return [zoo.load(recipe.teacher, seed) for seed in zoo.SEEDS[: recipe.teachers]]


def _sharing(model, stage):
    """The codec of every matrix and bias: the zeros stay zeros, what is left shares values."""
    found = matrices(model)
    values = PricedCodebook(stage.values, lam=stage.price) if stage.price else Codebook(stage.values)
    rules = {name: Sparse(sparsity(m.value)) | values for name, m in found.items()}
    biases = [name for name, p in model.named_parameters() if name.endswith("bias") and p.ndim == 1]
    return rules | dict.fromkeys(biases, Codebook(stage.bias_values))


def half_codebooks(model):
    """Round the shared values to float16, which a file holds in half the bytes."""
    for weight in attached(model).values():
        for values in weight.learned:
            values.data = values.data.half().to(values.dtype)
