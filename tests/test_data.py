"""The data sets: the right bytes, the fixed split, the tensors that the course counts on."""

import dataclasses
import gzip
import hashlib
import lzma
import struct

import build_fashion_mnist
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import data as mdata
from mcomp.data import evenly_by_class, load, names, sources

# The first labels of the training set and of the test set, as every tutorial on Fashion-MNIST prints them.
FIRST_TRAIN = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
FIRST_TEST = [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]


@pytest.fixture(scope="module")
def fashion():
    return load("fashion-mnist")


def test_the_package_holds_the_published_bytes():
    packed = sources._ASSET.read_bytes()
    decoded = lzma.decompress(packed)
    assert sources._decode_streams(packed) == decoded
    sizes = [16 + 784 * 60_000, 8 + 60_000, 16 + 784 * 10_000, 8 + 10_000]
    pieces = np.split(np.frombuffer(decoded, np.uint8), np.cumsum(sizes))
    assert pieces[-1].size == 0
    found = [hashlib.sha256(piece.tobytes()).hexdigest() for piece in pieces[:4]]
    assert found == list(build_fashion_mnist.IDX_SHA256.values())


def test_streams_decode_in_threads_to_the_same_bytes_as_in_one_go():
    content = np.random.default_rng(0).integers(0, 9, 5_000, dtype=np.uint8).tobytes()
    packed = build_fashion_mnist.compress(content, stream_bytes=1_000)
    assert packed == build_fashion_mnist.compress(content, stream_bytes=1_000)
    assert sources._decode_streams(packed) == lzma.decompress(packed) == content
    with pytest.raises(ValueError, match="damaged"):
        sources._decode_streams(packed[:100] + b"?" + packed[101:])


def test_processes_that_share_a_folder_decode_once(tmp_path, monkeypatch):
    packed, other = (build_fashion_mnist.compress(content, stream_bytes=9) for content in (b"ab" * 9, b"c"))
    monkeypatch.setenv("MCOMP_DECODED", str(tmp_path / "new"))
    assert [sources._decoded(packed), sources._decoded(other)] == [b"ab" * 9, b"c"]
    (shared,) = tmp_path.glob(f"new/{hashlib.sha256(packed).hexdigest()}*")
    shared.write_bytes(b"taken from here")
    assert [sources._decoded(packed), sources._decoded(other)] == [b"taken from here", b"c"]
    monkeypatch.delenv("MCOMP_DECODED")
    assert sources._decoded(packed) == b"ab" * 9


def test_the_script_refuses_other_files(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(ValueError, match="SHA-256"):
        build_fashion_mnist.build(tmp_path, tmp_path / "out.xz")
    assert not (tmp_path / "out.xz").exists()


def test_shapes_types_and_classes(fashion):
    for (x, y), n in ((fashion.train, 55_000), (fashion.validation, 5_000), (fashion.test, 10_000)):
        assert x.shape == (n, 1, 28, 28)
        assert x.dtype == torch.float32
        assert x.is_contiguous()
        assert y.shape == (n,)
        assert y.dtype == torch.int64
        assert y.bincount().tolist() == [n // 10] * 10
    assert len(fashion.classes) == 10
    assert fashion.classes[9] == "Ankle boot"
    assert repr(fashion) == "Data(name='fashion-mnist', mean=0.286, std=0.353)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        fashion.name = "other"


def test_labels_and_constants_are_the_known_ones(fashion):
    x, y, x_test, y_test = sources.arrays("fashion-mnist", None)
    assert y[:10].tolist() == FIRST_TRAIN
    assert y_test[:10].tolist() == FIRST_TEST
    assert fashion.test[1][:10].tolist() == FIRST_TEST
    # The constants are given to four digits.
    counts = np.bincount(x.ravel(), minlength=256) / x.size
    grey = np.arange(256) / 255
    mean = counts @ grey
    assert fashion.mean == round(mean, 4)
    assert fashion.std == round(np.sqrt(counts @ (grey - mean) ** 2), 4)
    # One float32 rounding of numbers up to 2.1: 2^-23 relative.
    back = fashion.test[0][:100, 0].double() * fashion.std + fashion.mean
    np.testing.assert_allclose(back, x_test[:100] / 255, atol=3e-7)


def chosen(y, count):
    """The oracle: walk through the file and ask of each entry whether a multiple of n falls on it."""
    seen, total, index = dict.fromkeys(range(10), 0), np.bincount(y, minlength=10), []
    for place, label in enumerate(y.tolist()):
        j, m, n = seen[label], count // 10, int(total[label])
        if -(-j * m // n) < -(-(j + 1) * m // n):
            index.append(place)
        seen[label] += 1
    return index


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(0, 200), st.integers(0, 9))
def test_the_choice_is_balanced_fixed_and_in_file_order(each, extra, seed):
    y = np.random.default_rng(seed).permutation(np.r_[np.repeat(np.arange(10), each), np.full(extra, seed)])
    for count in {10, 10 * ((each + 1) // 2), 10 * each}:
        index = evenly_by_class(y, count)
        assert index.tolist() == chosen(y, count)
        assert np.bincount(y[index]).tolist() == [count // 10] * 10


@pytest.mark.parametrize("count", [0, -10, 7, 15, 210, 10.0, True, None, "10"])
def test_a_count_that_cannot_be_had_is_refused(count):
    with pytest.raises(ValueError, match=r"count is .*allowed: .* 10 to 200"):
        evenly_by_class(np.arange(200) % 10, count)


def test_validation_is_every_twelfth_of_its_class_and_apart_from_training(fashion):
    y = sources.arrays("fashion-mnist", None)[1]
    train, validation = mdata._split(y, None)
    assert validation.tolist() == chosen(y, 5_000)
    assert sorted([*train, *validation]) == list(range(60_000))
    # Fixed for ever: results in the course depend on this very split.
    digest = hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest()
    assert digest == "7953c51ccc0b0f2be25ddb03848af73e8c4cd5fbb5c6f48db8940c66213821ef"


def test_a_subset_changes_training_only(fashion):
    small = load("fashion-mnist", subset=12_000)
    assert small.train[1].bincount().tolist() == [1_200] * 10
    for a, b in ((small.validation, fashion.validation), (small.test, fashion.test)):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
    every = load("fashion-mnist", subset=55_000)
    assert torch.equal(every.train[1], fashion.train[1])
    inside = {image.tobytes() for image in fashion.train[0].numpy()}
    assert all(image.tobytes() in inside for image in small.train[0].numpy())


@pytest.mark.parametrize("subset", [0, 12_001, 55_010, -10, 1.5])
def test_a_bad_subset_is_refused(subset):
    with pytest.raises(ValueError, match=rf"subset is {subset}; allowed: .*55000"):
        load("fashion-mnist", subset=subset)


def test_what_a_reader_changes_is_not_what_the_next_one_gets():
    first = load("fashion-mnist", subset=10)
    first.train[0].zero_()
    first.test[0].zero_()
    second = load("fashion-mnist", subset=10)
    assert second.train[0].abs().sum() > 0
    assert second.test[0].abs().sum() > 0


def test_decoded_once_a_process():
    assert sources.arrays("fashion-mnist", None)[0] is sources.arrays("fashion-mnist", None)[0]


def test_an_unknown_name_lists_the_known_ones():
    assert names() == ["fashion-mnist", "kmnist", "mnist"]
    with pytest.raises(ValueError, match="name is 'cifar'; allowed: one of fashion-mnist, kmnist, mnist"):
        load("cifar")


def make_files(folder, images=None, test_labels=None):
    """Four small files in place of a download, and the Source that describes them."""
    rng = np.random.default_rng(0)
    y = np.arange(6_000, dtype=np.uint8) % 10
    x = rng.integers(0, 256, (6_000, 28, 28), dtype=np.uint8) if images is None else images
    y_test = np.array([3, 1, 4], np.uint8) if test_labels is None else test_labels
    folder.mkdir(parents=True)
    paths = [folder / f"{name}.gz" for name in sources._FILES]
    for path, array in zip(paths, (x, y, x[:3], y_test), strict=True):
        head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))
    return sources.Source(
        mean=0.5,
        std=0.25,
        classes=tuple("0123456789"),
        mirrors=("http://127.0.0.1:9/",),  # nobody listens there
        sha256=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths),
        nbytes=tuple(path.stat().st_size for path in paths),
    )


def test_files_in_mcomp_data_are_used_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "mnist", make_files(tmp_path / "mnist"))
    monkeypatch.setenv("MCOMP_DATA", str(tmp_path))
    data = load("mnist")
    assert data.name == "mnist"
    assert len(data.train[1]) == 1_000
    assert data.test[1].tolist() == [3, 1, 4]
    other = load("mnist", folder=tmp_path)
    assert torch.equal(other.train[0], data.train[0])


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_offline_without_files_says_what_to_do(tmp_path, monkeypatch, name):
    source = dataclasses.replace(sources.SOURCES[name], mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(sources.SOURCES, name, source)
    with pytest.raises(ConnectionError, match=r"train-images-idx3-ubyte\.gz.*(?s:.)*MCOMP_DATA"):
        load(name, folder=tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": np.zeros((5_999, 28, 28), np.uint8)},
        {"images": np.zeros((6_000, 27, 28), np.uint8)},
        {"test_labels": np.array([3, 1, 10], np.uint8)},
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, monkeypatch, wrong):
    monkeypatch.setitem(sources.SOURCES, "mnist", make_files(tmp_path / "mnist", **wrong))
    with pytest.raises(ValueError, match=r"allowed: .*labels from 0 to 9"):
        load("mnist", folder=tmp_path)


def test_every_source_names_four_files_and_ten_classes():
    for source in sources.SOURCES.values():
        assert len(set(source.classes)) == 10
        assert len(source.sha256) == len(source.nbytes) == (4 if source.mirrors else 0)
        assert all(len(sha) == 64 for sha in source.sha256)
