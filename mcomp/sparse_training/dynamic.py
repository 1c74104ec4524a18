"""Callbacks of `mcomp.train.fit` that choose the masks while the network learns.

Static, by a schedule: `Scheduled`. Masks that come back: `DynamicSurgery`. Masks that move: `DropAndGrow`.
Steered by the validation accuracy: `Controller`. All work on a network with masks from `attach_masks`, or
the codec `Sparse` attached with ``refresh="never"``. Derived in chapters/05_pruning_over_time.ipynb.
"""

import copy
import math

import torch

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.chance import own_stream
from mcomp.prune.masks import global_topk_masks, kept_count, threshold_mask
from mcomp.prune.moves import drop_and_grow, surgery_score
from mcomp.prune.schedules import cosine_fraction, cubic_sparsity, steer
from mcomp.sparse_training.holding import Masking

__all__ = ["Controller", "DropAndGrow", "DynamicSurgery", "Scheduled"]

EVERY = 50  # steps between two choices of the mask; fewer if there are less than CHOICES of them
CHOICES = 20


class Scheduled(Masking):
    """Prune all attached weights together as a schedule says: what has gone stays away.

    Parameters
    ----------
    model : torch.nn.Module
    final : float in [0, 1]
        The sparsity at the end.
    schedule : function of (step, start, end, final, and `options`)
        `cubic_sparsity`, or `iterative_sparsity` with an option ``rounds=5``; ``rounds=1`` is one shot.
    ramp : float in (0, 1]
        In this part of the steps the sparsity rises. It is `final` before the last step in any case.
    score : function of a tensor
        One number a weight, the larger is kept. Default: |w|.
    least : float in [0, 1]
        Each weight keeps at least this part of what all keep on average: with 0.2 at sparsity 0.9 two per
        cent of its entries. 0: one threshold for all, which may empty a small weight.

    Attributes
    ----------
    held : list of str
        The weights that `least` kept from losing more, at the last choice of the masks.
    """

    def __init__(
        self, model, final, *, schedule=cubic_sparsity, ramp=1.0, score=torch.abs, least=0.0, **options
    ):
        super().__init__(model)
        self.final, self.ramp = check_real("final", final, 0, 1), check_real("ramp", ramp, 0.01, 1)
        self.least, self.held = check_real("least", least, 0, 1), []
        self.schedule, self.score, self.options, self.done = schedule, score, options, False
        schedule(0, start=0, end=1, final=self.final, **options)  # a wrong option is told now, not later

    def before_step(self, run):
        """Prune to what the schedule says, if it is time to."""
        self.step, (every, end) = run.step, self._pace(run.steps)
        if run.step + 1 == run.steps:
            self.finish()
        elif run.step % every == 0 and not self.done:
            self.prune(self.schedule(run.step, start=0, end=end, final=self.final, **self.options))

    def _pace(self, steps):
        end = max(steps * self.ramp, 1)
        return max(1, min(EVERY, int(end) // CHOICES)), end

    def choices(self, steps):
        """How often the masks are chosen in a training of that many steps, about."""
        every, end = self._pace(steps)
        return math.ceil(end / every) if steps else 0

    def finish(self):
        """Prune to the final sparsity, unless that is done."""
        if not self.done:
            self.prune(self.final)

    def prune(self, fraction):
        """Keep the highest scores of all layers together, so that `fraction` of the weights is zero."""
        self.keep(self.chosen(self.scores(), fraction))
        self.done = fraction >= self.final

    def scores(self):
        """The score of every weight, by name."""
        return {name: self.score(w) for name, w in self.effective().items()}

    def chosen(self, scores, fraction):
        """The masks at this sparsity, with a floor of `least` in each weight."""
        k = kept_count(sum(s.numel() for s in scores.values()), fraction)
        shares = {name: self.least * (1 - fraction) * s.numel() for name, s in scores.items()}
        floors = {name: math.ceil(share - 1e-9) for name, share in shares.items()}
        if sum(floors.values()) > k:  # so few weights stay that not every layer gets one
            floors = {name: int(share) for name, share in shares.items()}
        masks = global_topk_masks(scores, k, least=floors)
        at_floor = [name for name, mask in masks.items() if self.least and int(mask.sum()) == floors[name]]
        freely = global_topk_masks(scores, k) if at_floor else {}
        self.held = [name for name in at_floor if int(freely[name].sum()) < floors[name]]
        return masks


class DynamicSurgery(Scheduled):
    """Dynamic network surgery: what has gone goes on learning unseen, and comes back if it grows large.

    Guo et al. 2016 (arXiv:1608.04493): the gradient reaches the weights that are out as well (eq. 2), and two
    thresholds, `margin` below and above a common one, decide (eq. 3). They take that one from each layer's
    mean and deviation; here it is the one that gives all layers together the sparsity of the schedule, so
    that methods can be compared. After the part `until` of the steps the masks rest.
    """

    def __init__(self, model, final, *, margin=0.1, ramp=0.5, until=0.75, **options):
        super().__init__(model, final, ramp=ramp, **options)
        self.margin, self.until = check_real("margin", margin, 0, 0.99), check_real("until", until, ramp, 1)
        self.pass_gradient("dense")

    def before_step(self, run):
        """As the schedule says, and on at the final sparsity until it is time to rest."""
        super().before_step(run)
        if run.step >= self.until * run.steps:
            self.finish()
            self.done = True

    def prune(self, fraction):
        """Keep the largest of all hidden weights, those that are in at a discount."""
        hidden = {name: w.detach() for name, w in self.originals.items()}
        scores = {n: surgery_score(w, self.masks[n], margin=self.margin) for n, w in hidden.items()}
        self.keep(self.chosen(scores, fraction))


class DropAndGrow(Masking):
    """Swap weights at a fixed sparsity: the smallest of a layer go, others come, fewer and fewer.

    With ``grow="gradient"`` RigL (Evci et al. 2019, arXiv:1911.11134): those of the largest gradient come.
    With ``grow="random"`` SET (Mocanu et al. 2017, arXiv:1707.04780), but for two things that are here as in
    RigL: the part that moves falls with time, and what comes starts at zero. The optimiser remembers nothing
    of it.

    Parameters
    ----------
    model : torch.nn.Module
        With masks on it, for instance ``attach_masks(model, random_masks(model, 0.9))``.
    grow : "gradient" or "random"
    every : int
        Steps between two moves.
    alpha : float in [0, 1]
        The part of each layer's weights that moves at first; it falls by a cosine, `cosine_fraction`.
    until : float in (0, 1]
        After this part of the steps nothing moves.
    seed : int
        Of the random growth.
    """

    def __init__(self, model, *, grow="gradient", every=100, alpha=0.3, until=0.75, seed=0):
        super().__init__(model)
        if grow not in ("gradient", "random"):
            raise bad_value("grow", grow, "gradient, random")
        self.grow, self.every = grow, check_int("every", every, 1)
        self.alpha, self.until = check_real("alpha", alpha, 0, 1), check_real("until", until, 0.01, 1)
        self.chance = own_stream("DropAndGrow", seed)

    def due(self, run):
        return run.step > 0 and run.step % self.every == 0 and run.step < self.until * run.steps

    def before_step(self, run):
        """Let the gradient of this step reach the weights that are out, if they are to be judged by it."""
        if self.due(run) and self.grow == "gradient":
            self.pass_gradient("dense")

    def after_step(self, run):
        """Move: drop, grow, and set to zero what came and what the optimiser did behind the masks."""
        if not self.due(run):
            return
        self.step, before = run.step, self.masks
        fraction = cosine_fraction(run.step, end=self.until * run.steps, alpha=self.alpha)
        after = {name: self._moved(name, w, fraction) for name, w in self.originals.items()}
        for name, w in self.originals.items():
            for tensor in (w.detach(), *_moments(run.optimizer, w)):
                tensor.mul_(before[name] & after[name])
        self.keep(after)
        self.pass_gradient("masked")

    def _moved(self, name, w, fraction):
        random = torch.rand(w.shape, generator=self.chance) if self.grow == "random" else None
        score, mask = w.grad if random is None else random.to(w), self.masks[name]
        k = min(round(fraction * int(mask.sum())), int((~mask).sum()))
        return drop_and_grow(w.detach(), mask, score=score, k=k)


class Controller(Masking):
    """Raise a threshold on |w| while the accuracy holds, back off when it falls; the last good network stays.

    After each epoch `accuracy(model)` is compared with `floor`. Where it holds, the network is remembered and
    the threshold goes up by `factor`; where it doesn't, the remembered network is put back and the factor
    becomes its square root (`mcomp.prune.schedules.steer`). Training ends with the last good network.

    Parameters
    ----------
    model : torch.nn.Module
    accuracy : function of the model
        Of validation images, never of test images: the masks are fitted to them.
    floor : float
        The least accuracy that counts as good. The network that training starts with counts as good.
    start : float
        The first threshold on |w|, more than 0.
    factor : float
        More than 1.
    """

    def __init__(self, model, accuracy, *, floor, start, factor=2.0):
        super().__init__(model)
        self.model, self.accuracy, self.floor = model, accuracy, check_real("floor", floor)
        self.good, self.tried, self.factor = start / factor, check_real("start", start, 1e-12), factor
        steer(self.good, self.tried, factor, holds=True)  # a wrong factor is told now, not after an epoch
        self._remember()

    def before_step(self, run):
        """The first threshold, before the first step."""
        self.step = run.step
        if run.step == 0:
            self.prune(self.tried)

    def after_epoch(self, run):
        """Judge the network, and raise the threshold or back off."""
        value = self.accuracy(self.model)
        holds, self.step = value >= self.floor, run.step
        self.log[-1] |= {"threshold": self.tried, "accuracy": value, "holds": holds}
        self._remember() if holds else self._put_back(run)
        self.good, self.tried, self.factor = steer(self.good, self.tried, self.factor, holds=holds)
        if run.epoch + 1 < run.epochs:
            self.prune(self.tried)

    def prune(self, threshold):
        """Only weights larger than the threshold stay."""
        self.keep({name: threshold_mask(abs(w), threshold) for name, w in self.effective().items()})

    def _remember(self):
        self.best = copy.deepcopy(self.model.state_dict()), self.masks

    def _put_back(self, run):
        state, masks = self.best
        self.model.load_state_dict(state)
        run.optimizer.state.clear()  # its moments belong to the network that was given up
        self.put(masks)


def _moments(optimizer, w):
    """What the optimiser remembers of each entry of `w`."""
    return [x for x in optimizer.state[w].values() if torch.is_tensor(x) and x.shape == w.shape]
