"""Chapter 11's results keep its bars, and the tower's file is what they say."""

from pathlib import Path

import numpy as np
import torch

from mcomp.course.results import read
from mcomp.measure import macs_by_layer
from mcomp.structure import drop
from mcomp.zoo import load

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "results"


def test_a_third_of_the_resnets_blocks_gone_costs_less_than_a_point():
    methods = read("11_bar_resnet")["methods"]
    control, cut = (np.array(methods[name]["accuracy"]) for name in ("control", "then the whole"))
    assert len(control) == len(cut) == 3
    assert (control - cut).mean() < 0.01
    small, x = drop(load("resnet"), ["block1"], x=torch.zeros(2, 1, 28, 28)), torch.zeros(1, 1, 28, 28)
    assert methods["then the whole"]["macs"] == 3 * [sum(macs_by_layer(small, x).values())]


def test_a_repvgg_merges_to_rounding_and_every_level_moves_fewer_bytes():
    result = read("11_fusion_resnet")
    assert 0 < result["difference"] < 1e-12
    moved = [result["graphs"][f"{level}_ALL"]["64"]["bytes"] for level in ("DISABLE", "ENABLE")]
    assert moved[1] < moved[0]


def test_the_towers_file_has_the_bytes_of_its_result():
    path, methods = RESULTS / "11_tower-0.safetensors", read("11_scores_tower")["methods"]
    assert path.stat().st_size == methods["tower"]["bytes"][0]


def test_no_score_beats_the_best_of_all_triples():
    for one in read("11_scores_tower")["looked"]:
        assert min(one["without"].values()) >= one["best"]
        assert one["without"]["loss"] <= one["median"]
