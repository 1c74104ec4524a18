"""Nothing is left out silently: what an operation on weights didn't reach is printed, with the reason."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

import mcomp
from mcomp import zoo
from mcomp.codecs import Codebook, Sparse, Uniform, attach
from mcomp.codecs import code as codes
from mcomp.layers import tell, untouched
from mcomp.measure import report
from mcomp.pipeline import _whole_note
from mcomp.ptq import adaround, clip_weights, correct_bias, equalize
from mcomp.ptq.pairs import equalized_pairs, unequalized
from mcomp.qat import attach_grids
from mcomp.sparse_training import attach_masks, random_masks, sensitivity_scan
from mcomp.structure import choose_ranks, fold_batchnorm


class Odd(nn.Module):
    """A recurrent layer, a linear one, and what is added to every row."""

    def __init__(self):
        super().__init__()
        self.pos, self.lstm = nn.Parameter(torch.randn(1, 5, 8)), nn.LSTM(8, 8, batch_first=True, bias=False)
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.norm(self.lstm(x + self.pos)[0][:, -1]))


@pytest.fixture
def odd():
    torch.manual_seed(0)
    return Odd().eval()


LSTM = dict.fromkeys(("lstm.weight_ih_l0", "lstm.weight_hh_l0"), "it is of a LSTM")
POS = {"pos": "it is added or looked up, by its shape or name"}


def test_what_was_not_reached(odd):
    assert untouched(odd) == POS  # biases and norms are nobody's matrices
    assert untouched(odd, {"fc.weight"}) == LSTM | POS
    assert untouched(odd, [*mcomp.matrices(odd)]) == POS
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert untouched(tied, {"1.weight"}) == {}  # under whichever name


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (lambda model, x: clip_weights(model, 3), "not clipped"),
        (lambda model, x: attach_grids(model, x, weight_bits=4), "without a grid"),
    ],
)
def test_operations_say_what_they_leave(odd, operation, said, capsys):
    operation(odd, torch.randn(6, 5, 8))
    expected = [f"{said}: {name}, because {why}" for name, why in (LSTM | POS).items()]
    assert capsys.readouterr().out.splitlines() == expected


def test_masks_and_compress_say_what_stays_whole(odd, capsys):
    attach_masks(copy.deepcopy(odd))
    assert capsys.readouterr().out == f"not pruned: pos, because {POS['pos']}\n"
    random_masks(odd, 0.5)
    assert capsys.readouterr().out == f"not pruned: pos, because {POS['pos']}\n"
    sensitivity_scan(odd, lambda model: 0.0, progress=False)
    assert capsys.readouterr().out == f"not scanned: pos, because {POS['pos']}\n"
    sensitivity_scan(odd, lambda model: 0.0, names=["fc.weight"], progress=False)
    assert capsys.readouterr().out == ""
    assert _whole_note(odd) == (f"neither pruned nor shared: pos, because {POS['pos']}",)
    assert _whole_note(zoo.load("lenet300")) == ()


def test_a_changed_weight_without_a_correction_is_told(odd, capsys):
    changed, x = copy.deepcopy(odd), torch.randn(6, 5, 8)
    with torch.no_grad():
        changed.fc.weight.mul_(0.9)
    correct_bias(changed, odd, x=x)
    assert capsys.readouterr().out == ""
    with torch.no_grad():
        changed.lstm.weight_hh_l0.mul_(0.9)
    correct_bias(changed, odd, x=x)
    assert capsys.readouterr().out == "not corrected: lstm.weight_hh_l0, because it is of a LSTM\n"


def test_rounding_says_which_codecs_it_left(odd, capsys):
    model = copy.deepcopy(odd)
    attach(model, {name: Uniform(4) for name in mcomp.matrices(odd)})
    adaround(model, odd, x=torch.randn(40, 5, 8), steps=5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"not rounded: {name}" for name in LSTM]


def test_layers_without_a_partner_are_told(capsys):
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    assert equalized_pairs(model) == [("0", "2")]
    assert unequalized(model) == {"4": "no neighbour shares its channels with it alone"}
    equalize(model)
    assert capsys.readouterr().out.startswith("not equalized: 4, because no neighbour")
    equalize(zoo.load("lenet5"))
    assert capsys.readouterr().out == ""


def test_layers_that_stay_whole_are_told(capsys):
    model = nn.Sequential(nn.Linear(40, 40), nn.Conv1d(4, 4, 3), nn.Linear(40, 40))
    assert [*choose_ranks(model, 2000)] == ["0", "2"]
    assert capsys.readouterr().out == "left whole: 1, because it is a Conv1d\n"


def test_fold_says_what_it_leaves(capsys):
    fold_batchnorm(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)))
    assert capsys.readouterr().out == "not folded: 0, because its input comes from input_1\n"


def test_a_report_names_what_no_matrix_operation_reaches(odd):
    found = report(odd, x=torch.randn(1, 5, 8), batches=())
    assert found.left_out == POS
    assert ("no weight matrix: pos", POS["pos"]) in found.rows()
    plain = report(zoo.load("lenet300"), x=torch.randn(1, 1, 28, 28), batches=())
    assert plain.left_out == {}


def test_tell_prints_a_line_for_each(capsys):
    tell("not cut", {"a": "it is small", "b": "it is shared"})
    assert capsys.readouterr().out == "not cut: a, because it is small\nnot cut: b, because it is shared\n"


def pruned():
    layer = nn.Linear(3, 3)
    prune.l1_unstructured(layer, "weight", 0.5)
    return layer


@pytest.mark.parametrize(
    ("make", "maker"),
    [
        (lambda: parametrizations.weight_norm(nn.Linear(3, 3)), "_WeightNorm"),
        (lambda: parametrizations.spectral_norm(nn.Linear(3, 3)), "_SpectralNorm"),
        (pruned, "L1Unstructured"),
    ],
)
def test_attach_by_the_names_of_matrices_says_the_layer_and_the_way_out(make, maker):
    model = nn.Sequential(nn.Linear(3, 3), make())
    with pytest.raises(
        ValueError, match=rf"1\.weight, made by .*{maker}.*remove_weight_norm or prune\.remove"
    ):
        attach(model, {name: Sparse(0.5) for name in mcomp.matrices(model)})


@pytest.mark.filterwarnings("ignore")  # the old weight_norm says that it is old
def test_attach_and_the_old_weight_norm():
    model = nn.Sequential(weight_norm(nn.Linear(3, 3)))
    with pytest.raises(ValueError, match=r"0\.weight, made by the hook WeightNorm.*remove_weight_norm"):
        attach(model, {name: Sparse(0.5) for name in mcomp.matrices(model)})


def test_a_tied_weight_is_refused_with_the_way_out_that_works():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False))
    model[1].weight = model[0].weight
    rules = {name: Sparse(0.5) for name in mcomp.matrices(model)}
    with pytest.raises(
        ValueError, match=r"untie it: 1\.weight = Parameter\(0\.weight\.detach\(\)\.clone\(\)\)"
    ):
        attach(model, rules)
    model[1].weight = nn.Parameter(model[0].weight.detach().clone())
    assert [*attach(model, rules)] == ["0.weight"]


def trained(model, x):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(25):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


def test_symbols_that_stay_are_those_of_a_search(monkeypatch):
    torch.manual_seed(0)
    w = torch.randn(20, 30) * (torch.rand(20, 30) < 0.2)
    layer = nn.Linear(30, 20)
    layer.weight.data = w
    sparsity = 1 - int((w != 0).sum()) / w.numel()
    attach(layer, {"weight": Sparse(sparsity) | Codebook(4)})
    searched, x = copy.deepcopy(layer), torch.randn(16, 30)
    trained(layer, x)
    monkeypatch.setattr(Sparse, "_same_places", lambda self, w, k, start: None)
    trained(searched, x)
    for (name, a), (_, b) in zip(layer.state_dict().items(), searched.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(layer.weight, searched.weight)


def test_a_place_that_becomes_zero_is_given_up():
    """As many non-zeros as before, but elsewhere: the positions are looked for again."""
    codec, w = Sparse(0.5), torch.tensor([1.0, 0.0, 2.0, 0.0])
    before = codec.encode(w)
    assert codec.encode(2 * w, start=before).symbols["positions"] is before.symbols["positions"]
    moved = codec.encode(torch.tensor([1.0, 3.0, 0.0, 0.0]), start=before)
    assert moved.symbols["positions"].tolist() == [0, 1]
    assert codes.decode(moved).tolist() == [1.0, 3.0, 0.0, 0.0]
