"""Masks on a network: where they go, what they cost, how they change in training (chapters 02, 03, 05)."""

from mcomp.sparse_training.dynamic import Controller, DropAndGrow, DynamicSurgery, Scheduled
from mcomp.sparse_training.holding import Masking, attach_masks, random_masks
from mcomp.sparse_training.network import apply_masks, prunable_weights
from mcomp.sparse_training.scan import sensitivity_scan
from mcomp.sparse_training.tickets import find_tickets, reinitialised, shuffled, train_ticket

__all__ = [
    "Controller", "DropAndGrow", "DynamicSurgery", "Masking", "Scheduled", "apply_masks", "attach_masks",
    "find_tickets", "prunable_weights", "random_masks", "reinitialised", "sensitivity_scan", "shuffled",
    "train_ticket",
]  # fmt: skip
