"""The report: every number is the one that the single measurement gives, in every way of showing it."""

import re
from io import StringIO
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import nn

from mcomp import measure
from mcomp.measure import Latency, Report, Roofline, report


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    with torch.no_grad():
        net[4].weight[:, ::2] = 0
    return net.train()


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(20, 1, 8, 8, generator=generator), torch.arange(20) % 3


@pytest.fixture
def quick(monkeypatch):
    """Latency without waiting: what was asked for, in a Latency."""
    asked = []

    def latency(model, x, **_):
        asked.append(x)
        return Latency(1.5, 1.25, 2.0, len(x), 7, 1)

    monkeypatch.setattr(measure, "latency", latency)
    return asked


def test_the_numbers_are_those_of_the_single_measurements(model, pair, tmp_path, quick):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    x, y = pair
    found = report(model, pair, path=path, name="small", batches=(1, 50))
    assert found.name == "small"
    assert found.parameters == sum(p.numel() for p in model.parameters()) == 4 * 9 + 4 + 8 + 144 * 3 + 3
    assert found.nonzero == sum(int((p != 0).sum()) for p in model.parameters())
    assert found.macs == 36 * 4 * 9 + 144 * 3
    # Convolution, batch norm and ReLU each make 144 floats; two of them live at once.
    assert found.activation_bytes == 2 * 4 * 144
    assert found.file_bytes == 100
    assert found.times_smaller == 4 * found.parameters / 100
    model.eval()
    assert found.accuracy == pytest.approx((model(x).argmax(1) == y).double().mean().item(), abs=1e-7)
    assert [len(asked) for asked in quick] == [1, 50]
    assert torch.equal(quick[1], torch.cat([x, x, x[:10]]))
    assert [t.batch for t in found.latencies] == [1, 50]


def test_a_data_set_is_judged_on_its_test_part(model, pair, quick):
    data = SimpleNamespace(train=None, validation=None, test=pair)
    assert report(model, data).accuracy == report(model, pair).accuracy


def test_model_and_input_are_left_alone(pair):
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 3), nn.Dropout()).train()
    x = pair[0].clone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report(model, x=x, batches=(2,))
    assert torch.equal(x, pair[0])
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def example(**changes):
    layers = (
        measure.LayerCost("conv<1>", "Conv2d", 40, 40, 5_184, 1_696),
        measure.LayerCost("norm", "BatchNorm2d", 8, 8, 0, 1_184),
        measure.LayerCost("fc", "Linear", 2_345_678, 2_345_678, 432, 2_345),
    )
    given = {"name": "small & <fast>", "parameters": 2_345_726, "nonzero": 2_345_726, "macs": 5_616}
    given |= {"activation_bytes": 1_152, "layers": layers, "latencies": (Latency(1.5, 1.25, 2.0, 1, 7, 1),)}
    return Report(**given | changes)


FULL = {
    "nonzero": 234_573,
    "accuracy": 0.8954,
    "file_bytes": 93_829,
    "machine": Roofline(1e11, 3e10),
}


def test_rows_say_what_is_known_and_nothing_else():
    assert example().rows() == [
        ("parameters", "2,345,726"),
        ("MACs for one input", "5,616"),
        ("activations of one input, peak", "1,152 bytes"),
        ("latency, batch 1, threads 1", "1.5 ms (1.25 to 2)"),
    ]
    assert example(**FULL).rows() == [
        ("parameters", "2,345,726"),
        ("of them not zero", "234,573 (10.00%)"),
        ("file", "93,829 bytes"),
        ("smaller than 4 bytes a parameter", "100.0 times"),
        ("accuracy", "89.54%"),
        ("MACs for one input", "5,616"),
        ("activations of one input, peak", "1,152 bytes"),
        ("latency, batch 1, threads 1", "1.5 ms (1.25 to 2)"),
        ("this machine, threads 1", "100 GFLOP/s, 30 GB/s, ridge 3.33 FLOP/byte"),
    ]


def test_layers_with_their_limit():
    header, *rows = example(**FULL).layer_rows()
    assert header[-2:] == ("FLOP per byte", "limit")
    assert [row[-2:] for row in rows] == [("6.11", "compute"), ("0.00", "–"), ("0.37", "memory")]
    assert example().layer_rows()[0] == ("layer", "kind", "params", "MACs", "bytes moved", "FLOP per byte")


@pytest.mark.parametrize("changes", [{}, FULL])
@pytest.mark.parametrize("width", [80, 110])
def test_the_terminal_shows_every_number_whole(changes, width):
    found = example(**changes)
    console = Console(width=width, record=True, color_system=None, file=StringIO())
    console.print(found)
    for text in (console.export_text(), str(found)):
        assert "…" not in text
        for cell in [row[1] for row in found.rows()] + [c for row in found.layer_rows()[1:] for c in row[2:]]:
            assert cell in text


def test_the_notebook_shows_the_same_and_escapes_names():
    found = example(**FULL)
    page = found._repr_html_()
    assert "small &amp; &lt;fast&gt;" in page
    assert "conv&lt;1&gt;" in page
    assert "<fast>" not in page
    assert page.count("<table>") == page.count("</table>") == 2
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    expected = [cell for row in [*found.rows(), *found.layer_rows()[1:]] for cell in row]
    assert [cell.replace("&lt;", "<").replace("&gt;", ">") for cell in cells] == expected


def test_a_report_needs_an_input():
    with pytest.raises(ValueError, match="x is None; allowed: a tensor"):
        report(nn.Linear(2, 2))


@pytest.mark.parametrize("batch", [0, -1, 1.5])
def test_a_bad_batch_is_refused(batch):
    with pytest.raises(ValueError, match=f"batch is {batch}; allowed"):
        report(nn.Linear(2, 2), x=torch.zeros(1, 2), batches=(batch,))


def test_a_machine_is_measured_when_asked(monkeypatch, quick):
    monkeypatch.setattr(measure, "roofline", lambda: Roofline(1.0, 2.0))
    assert report(nn.Linear(2, 2), x=torch.zeros(1, 2), machine=True).machine == Roofline(1.0, 2.0)
    given = Roofline(3.0, 4.0)
    assert report(nn.Linear(2, 2), x=torch.zeros(1, 2), machine=given).machine is given
