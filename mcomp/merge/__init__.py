"""One network from several: averaged, connected, aligned, added up, side by side (chapter 14)."""

from mcomp.merge.abreast import side_by_side
from mcomp.merge.assignment import assign
from mcomp.merge.connect import Curve, barrier, fit_curve, line
from mcomp.merge.ensemble import Ensemble, Stitched, halves, stitch
from mcomp.merge.match import match_activations, match_weights
from mcomp.merge.means import average
from mcomp.merge.mixture import Mixture, balance_loss
from mcomp.merge.running import RunningAverage, decay_of, half_life
from mcomp.merge.soup import LearnedSoup, Soup, greedy_soup, learned_soup
from mcomp.merge.symmetry import permute, random_orders, symmetries
from mcomp.merge.tasks import add_tasks, merge_tasks, task_vector
from mcomp.merge.vectors import dare, elect, merge_agreeing, ties, trim

__all__ = [
    "Curve", "Ensemble", "LearnedSoup", "Mixture", "RunningAverage", "Soup", "Stitched", "add_tasks",
    "assign", "average", "balance_loss", "barrier", "dare", "decay_of", "elect", "fit_curve", "greedy_soup",
    "half_life", "halves", "learned_soup", "line", "match_activations", "match_weights", "merge_agreeing",
    "merge_tasks", "permute", "random_orders", "side_by_side", "stitch", "symmetries", "task_vector", "ties",
    "trim",
]  # fmt: skip
