"""Whether a recipe fits a network and its data, and what is left of a shipped one that doesn't."""

import dataclasses

import torch

from mcomp import zoo
from mcomp.arrays import bad_value
from mcomp.calling import are_images, take
from mcomp.recipes import load_recipe, recipes
from mcomp.train import predict

__all__ = ["recipe_for"]


def recipe_for(source, model, data):
    """The `Recipe` for this network and this data, and sentences (a tuple) about what had to be changed.

    A recipe that comes with the package, asked for by name, may have a teacher of the zoo, which takes other
    images or knows other classes: then the network is its own teacher. It may move images: what is none stays
    where it is. A recipe of your own is not changed.

    Raises
    ------
    ValueError
        If the recipe is wrong, the network gives no logits (n, classes) with a class for each label, or a
        teacher doesn't fit.
    """
    recipe, classes = load_recipe(source, zoo.architecture(model)[0]), _classes(model, data)
    shipped, notes = isinstance(source, str) and source in recipes(), ()
    if recipe.moved and shipped and not are_images(data.train[0]):
        recipe = dataclasses.replace(recipe, moved=0)
        notes += (f"recipe {source}: the inputs are no images; none are moved",)
    if recipe.teacher == "self":
        return recipe, notes
    reason = _mismatch(recipe.teacher, data, classes)
    if not reason:
        return recipe, notes
    if shipped:
        note = f"recipe {source}: {reason}; the network is its own teacher instead"
        return dataclasses.replace(recipe, teacher="self", teachers=1), (*notes, note)
    raise bad_value("teacher", recipe.teacher, f"self, because {reason}")


def _classes(model, data):
    """How many classes the network tells apart, if it can be trained on these labels at all."""
    x, y = data.train
    logits = predict(model, take(x, slice(0, 2)))
    if logits.ndim != 2:
        raise bad_value("what the network gives", tuple(logits.shape), "logits (n, classes) of a classifier")
    if int(y.min()) < 0 or int(y.max()) >= logits.shape[1]:
        held = f"{int(y.min())} to {int(y.max())}"
        raise bad_value("the labels", held, f"0 to {logits.shape[1] - 1}, as the network has classes")
    return logits.shape[1]


def _mismatch(teacher, data, classes):
    """Why the network `teacher` of the zoo can't teach here; empty if it can."""
    x = data.train[0]
    given = tuple(x.shape[1:]) if isinstance(x, torch.Tensor) else f"a {type(x).__name__} of inputs"
    try:
        known = predict(zoo.load(teacher), x[:1].float()).shape[1]
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError):
        return f"the teacher {teacher} takes images of (1, 28, 28), not {given}"
    return "" if known == classes else f"the teacher {teacher} knows {known} classes, the network {classes}"
