"""The C file: answers of the integer network and weights of the small file, bit for bit, no byte astray.

Every test here needs a C compiler, and fails with that sentence where there is none.
"""

import itertools
import random
import re
import struct
import subprocess

import numpy as np
import pytest
import test_container
import torch
from torch import nn
from torch.nn import functional as F

from mcomp import zoo
from mcomp.codecs import Codebook, Sparse
from mcomp.codecs.attachment import attach, bake
from mcomp.coding.adaptive_mask import encode_adaptive_steps, matrix_shape, options_of
from mcomp.coding.arith import LIMIT, LN, SQUASH
from mcomp.coding.batch import run
from mcomp.coding.bits import varint
from mcomp.coding.floats import pack_floats
from mcomp.coding.positions import mask_codes
from mcomp.coding.streams import pack_symbols
from mcomp.deploy import c, c_small, c_text
from mcomp.deploy.checks import integers_of
from mcomp.file import NeedsModelError, load, save
from mcomp.file.frame import checksum, seal
from mcomp.integer import integer_network
from mcomp.quantize.grids import dequantize, quantize

SANITIZED = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture
def quick(monkeypatch):
    """`run` compiles without optimizing: a decoder takes seconds else."""
    monkeypatch.setattr(c, "FAST", "-O0")


def images(n, size=(1, 28, 28)):
    return torch.randn(n, *size, generator=torch.Generator().manual_seed(3))


def answers(network, x):
    """What the integer network says, as `run` gives it."""
    return dequantize(network(quantize(x, network.grid)).to(torch.int8), network.steps[-1].grid)


class Odd(nn.Module):
    """Groups, strides, borders, a ReLU whose input is read twice, an addition, a mean, no bias."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Conv2d(3, 8, (3, 2), stride=2, padding=1, groups=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.last = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        x = self.first(x)
        x = F.relu(x) + self.second(x)
        return self.last(self.pool(x).mean((2, 3)))


# The answers


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet"])
def test_a_network_of_the_zoo(tmp_path, name):
    model, x = zoo.load(name), images(32)
    path = c.export(model, tmp_path / "net.c", example=x[:1], calibration=x)
    assert torch.equal(c.run(path, x), answers(integers_of(model, x), x))


def test_three_bits(tmp_path, quick):
    x = images(60, (3, 9, 12))
    network = integer_network(Odd(), x, bits=3)
    path = c.export(network, tmp_path / "net.c", example=x)
    assert torch.equal(c.run(path, x), answers(network, x))


def test_a_network_of_odd_sizes_under_sanitizers(tmp_path):
    x = images(60, (3, 9, 12))
    network = integer_network(Odd(), x)
    c.export(network, tmp_path / "net.c", example=x)
    harness = tmp_path / "main.c"
    harness.write_text('#include "net.c"\n#include <stdio.h>\n' + MAIN)
    program = c.compiled(harness, tmp_path / "main", *SANITIZED)
    q = quantize(x, network.grid)
    said = subprocess.run([str(program)], input=q.numpy().tobytes(), capture_output=True, check=True).stdout
    assert np.array_equal(np.frombuffer(said, np.int8).reshape(60, 5), network(q).numpy())


MAIN = """
int main(void)
{
    int8_t x[NETWORK_INPUTS], y[NETWORK_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        network_run(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


def compressed(name="lenet300", **config):
    torch.manual_seed(1)
    model = zoo.build(name, **config)
    attach(model, {"*.weight": Sparse(0.9) | Codebook(8), "*.bias": Codebook(4)})
    return model


@pytest.mark.parametrize(
    "model",
    [lambda: compressed(hidden=(30, 20)), lambda: compressed("lenet5", channels=(3, 4), hidden=8), Odd],
)
def test_entropy_coded_it_answers_the_same(tmp_path, quick, model):
    model = model()
    x = images(40, (3, 9, 12) if isinstance(model, Odd) else (1, 28, 28))
    path = c.export(model, tmp_path / "net.c", example=x, calibration=x, entropy_coded=True)
    assert torch.equal(c.run(path, x), answers(integers_of(model, x), x))


def test_weights_that_are_nothing_or_tiny_beside_the_bias(tmp_path, quick):
    """The step of a channel is then made by its bias, or is one, or the least that there is."""
    model, x = (
        nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 6)),
        images(40, (3, 2, 2)),
    )
    with torch.no_grad():
        model[1].weight[0] = 0
        model[1].weight[1] = 1e-42
        model[1].weight[2] *= 1e-12
        model[1].weight[3] *= 1e-7
        model[1].bias[:4] = torch.tensor([0.0, 0.0, 3.0, -70.0])
        model[3].weight[0] *= 1e-13
    path = c.export(model, tmp_path / "net.c", example=x, calibration=x, entropy_coded=True)
    assert torch.equal(c.run(path, x), answers(integers_of(model, x), x))


def test_the_small_file_is_in_the_program_and_flash_is_less(tmp_path):
    model, x = compressed(hidden=(50, 30)), images(40)
    plain = c.export(model, tmp_path / "plain.c", example=x, calibration=x)
    small = c.export(model, tmp_path / "small.c", example=x, calibration=x, entropy_coded=True)
    nbytes = save(bake(model), tmp_path / "file")
    listed = re.search(r"NETWORK_FILE\[\] = \{([^}]*)\}", small.read_text())[1]
    assert bytes(map(int, re.findall(r"\d+", listed))) == (tmp_path / "file").read_bytes()
    (flash, ram), (small_flash, small_ram) = c.footprint(plain), c.footprint(small)
    weights = 784 * 50 + 50 * 30 + 30 * 10
    assert weights < flash < weights + 6000  # and code, biases, multipliers
    assert nbytes < small_flash < nbytes + 20_000 < flash
    assert 80 <= ram < 200
    assert weights + 80 < small_ram < 3 * weights + 20_000


# The decoder, on files of every dialect, and under sanitizers on files that are none

HARNESS = """
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { uint32_t axes, axis[4]; } shape;
static struct { uint32_t tensors; uint8_t digest[4]; } asked;
static shape NETWORK_SHAPES[16];
#define NETWORK_TENSORS ((int)asked.tensors)
#define NETWORK_DIGEST asked.digest
#define NETWORK_MEMORY (4 << 20)
#define NETWORK_LARGEST_SCALE 1e36f
%s
static int decode(bytes file, FILE *out)
{
    static float numbers[1 << 18];
    TRY(open_file(&file));
    for (uint32_t i = 0, n = 0; i < asked.tensors; i++, n = 0) {
        tensor t;
        uint32_t at = 0, j = 0;
        used = 0;
        TRY(open_tensor(&file, i, &t));
        for (; n < t.size; n++)
            numbers[n] = next_number(&t, &at, &j);
        fwrite(numbers, 4, n, out);
    }
    return OK;
}

int main(void)
{
    uint32_t n;
    make_tables();
    fwrite(ln_table, sizeof ln_table, 1, stdout);
    fwrite(squash_table, sizeof squash_table, 1, stdout);
    while (fread(&asked, sizeof asked, 1, stdin) == 1) {
        if (fread(NETWORK_SHAPES, sizeof(shape), asked.tensors, stdin) != asked.tensors)
            return 1;
        if (fread(&n, 4, 1, stdin) != 1)
            return 1;
        uint8_t *data = malloc(n);  // to the byte, so that the sanitizer sees one too far
        if (fread(data, 1, n, stdin) != n)
            return 1;
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        bytes file = { data, n };
        int32_t status = decode(file, out);
        fclose(out);
        n = status ? 0 : (uint32_t)size;
        fwrite(&status, 4, 1, stdout);
        fwrite(&n, 4, 1, stdout);
        fwrite(text, 1, n, stdout);
        free(text);
        free(data);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A program that decodes many files, and stops at the first byte that is read or written out of place."""
    folder = tmp_path_factory.mktemp("decoder")
    kernels = c_text.parts("kernels.c")["base"]
    parts = [text for file in c_text.DECODER for text in c_text.parts(file).values()][:-1]
    (folder / "decode.c").write_text(HARNESS % "\n".join([kernels, *parts]))
    options = ("-D_POSIX_C_SOURCE=200809L", "-Wno-unused-function", *SANITIZED)
    return c.compiled(folder / "decode.c", folder / "decode", *options)


def decoded(decoder, files, shapes):
    """The tables of logarithms and probabilities; the numbers of each file as bytes, None if refused."""
    axes = [c_small._axes(shape) for shape in shapes]
    asked = b"".join(struct.pack("<5I", *row) for row in axes)
    heads = [struct.pack("<I", len(axes)) + digest + asked for digest, _ in files]
    sent = b"".join(head + struct.pack("<I", len(x)) + x for head, (_, x) in zip(heads, files, strict=True))
    done = subprocess.run([str(decoder)], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    tables, at, found = done.stdout[: 2 * 4097 + 2 * (LIMIT + 1)], 2 * 4097 + 2 * (LIMIT + 1), []
    while at < len(done.stdout):
        status, n = struct.unpack_from("<iI", done.stdout, at)
        found.append(done.stdout[at + 8 :][:n] if status == 0 else None)
        at += 8 + n
    assert len(found) == len(files)
    return tables, found


def in_file(parts, digest=b"name"):
    body = digest + b"".join(varint(len(part)) + part for part in parts)
    return digest, seal({}, body)


def test_logarithms_and_probabilities(decoder):
    tables, _ = decoded(decoder, [], [])
    assert np.frombuffer(tables, np.int16, 4097).tolist() == LN
    assert np.frombuffer(tables, np.uint16, offset=2 * 4097)[:LIMIT].tolist() == SQUASH[:LIMIT]
    assert 65536 - int(np.frombuffer(tables, np.uint16)[-1]) == SQUASH[-LIMIT]


SHAPES = [(12, 784), (10, 192), (12, 8, 3, 3), (9, 5, 2, 7), (6, 4, 5), (100,), (7, 1), (1, 50), ()]


def clustered(shape, rng):
    """A mask with dense and thin rows and columns, so that every model has something to learn."""
    rows, columns = matrix_shape(shape or (1,))
    odds = rng.normal(-1.5, 1.5, (rows, 1)) + rng.normal(0, 1.5, (1, columns))
    return (rng.random((rows, columns)) < 1 / (1 + np.exp(-odds))).reshape(shape or (1,))


def masks_in_every_code():
    """Files whose masks, of all `SHAPES`, are in every code and option; the numbers of each as bytes."""
    rng, files, expected = np.random.default_rng(0), [], []
    masks = [clustered(shape, rng) for shape in SHAPES]
    coded = []
    for shape, mask in zip(SHAPES, masks, strict=True):
        shape, matrix = shape or (1,), mask.reshape(matrix_shape(shape or (1,)))
        hint = np.zeros(matrix.shape[1], np.int64)
        options = [run(encode_adaptive_steps(matrix, hint, [o], shape)) for o in options_of(shape)]
        coded.append([*mask_codes(mask).values(), *options])
    values = [np.where(mask, rng.normal(size=mask.shape), 0).astype(np.float32) for mask in masks]
    for some in itertools.zip_longest(*coded):
        some = [one or codes[0] for one, codes in zip(some, coded, strict=True)]
        kept = [pack_floats(x[mask]) for x, mask in zip(values, masks, strict=True)]
        files.append(in_file([
            b"\1" + varint(len(one)) + one + b"\0" + k for one, k in zip(some, kept, strict=True)
        ]))  # fmt: skip
        expected.append(b"".join(x.tobytes() for x in values))
    assert len(files) > 7  # of the (12, 784): five codes and three options
    return files, expected


def test_masks_in_every_code_and_option(decoder):
    files, expected = masks_in_every_code()
    assert decoded(decoder, files, SHAPES)[1] == expected


def numbers_of_many_sizes():
    """Files with Huffman's blocks, tables of more than 256 values, byte planes, the smallest streams.

    Triples: (digest, bytes), the shapes of the tensors, the numbers as bytes.
    """
    rng, parts, expected = np.random.default_rng(1), [], []
    for n, k in ((20_000, 5), (9_000, 300), (70_000, 2), (1, 1), (3000, 3000)):
        book = rng.normal(size=k).astype(np.float32)
        index = np.minimum(rng.geometric(0.3, n) - 1, k - 1) if k < 1000 else rng.permutation(k)
        table = pack_floats(book)
        for method, encode in {0: None, **test_container.SYMBOLS}.items():
            fits = n * (k - 1).bit_length() <= 1 << 16 or method != test_container.ADAPTIVE
            if method and not (fits and k > 1):
                continue
            stream = bytes([method]) + encode(index, k) if method else pack_symbols(index, k)
            parts.append(b"\2" + varint(k) + varint(len(table)) + table + stream)
            expected.append(book[index])
    for part, x in zip(parts, expected, strict=True):
        yield in_file([part]), [x.shape], x.tobytes()
    plain = [rng.normal(size=n).astype(np.float32) for n in (1, 100, 5000)]
    planes = [x.astype(np.float16).astype(np.float32) for x in plain]
    equal = [b"\0" + pack_floats(x) for x in (*plain, *planes)] + [b"\4\1", b"\4\5"]
    tensors = [*plain, *planes, plain[1], planes[2]]
    yield in_file(equal), [x.shape for x in tensors], b"".join(x.tobytes() for x in tensors)


def test_numbers_and_codebooks_of_many_sizes(decoder):
    for file, shapes, numbers in numbers_of_many_sizes():
        assert decoded(decoder, [file], shapes)[1] == [numbers]


def outcome(path, data):
    path.write_bytes(data)
    try:
        return b"".join(x.numpy().tobytes() for x in load(path).state_dict().values())
    except (ValueError, NeedsModelError):
        return None


def mutations(spoken_in, metadata, model, n, seed):
    """Files as in test_ten_thousand_mutations, of all five dialects: (bytes, whether the header is whole)."""
    wholes = [seal(metadata, test_container.framed(parts, model)) for parts in spoken_in]
    rng = random.Random(seed)
    for i in range(n):
        which = i % 5
        if i % 20 == 0:
            yield wholes[which], True
        elif i % 20 == 1:
            yield test_container.mutated(wholes[which], rng), False
        else:
            data = test_container.sealed_anew(spoken_in[which], metadata, model, rng)
            head = 8 + int.from_bytes(data[:8], "little")
            yield data, data == seal(metadata, data[head:-8])


def check_mutations(decoder, path, n, seed=0):
    spoken_in, metadata, model = test_container.dialects()
    state, files = model.state_dict(), [*mutations(spoken_in, metadata, model, n, seed)]
    digest, shapes = test_container.digest(state), [tuple(x.shape) for x in state.values()]
    found = decoded(decoder, [(digest, data) for data, _ in files], shapes)[1]
    counts = {"same": 0, "refused": 0}
    for (data, whole), numbers in zip(files, found, strict=True):
        if whole:  # the header isn't read in C: the network is compiled in
            assert outcome(path, data) == numbers
            counts["refused" if numbers is None else "same"] += 1
    return counts


def test_mutated_files_are_decoded_as_load_does_or_refused(decoder, tmp_path):
    counts = check_mutations(decoder, tmp_path / "file", 150)
    assert counts["same"] > 20
    assert counts["refused"] > 60


def test_a_file_cut_short_or_of_absurd_lengths(decoder):
    digest, data = in_file([b"\0" + pack_floats(np.float32([1, 2, 3]))])
    lengths = [struct.pack("<Q", n) + data[8:] for n in (0, 1, 70_000, 2**31, 2**63, 2**64 - 1)]
    lengths += [x[:-8] + checksum(x[:-8]) for x in lengths]
    cut = [data[:n] for n in range(1, len(data))]
    assert decoded(decoder, [(digest, x) for x in lengths + cut], [(3,)])[1] == [None] * len(lengths + cut)
    assert decoded(decoder, [(b"else", data)], [(3,)])[1] == [None]


def test_memory_that_is_too_small_is_said(tmp_path, quick):
    model, x = compressed(hidden=(9, 8)), images(40)
    path = c.export(model, tmp_path / "net.c", example=x, calibration=x, entropy_coded=True)
    text, n = re.subn(r"#define NETWORK_MEMORY (\d+)", "#define NETWORK_MEMORY 512", path.read_text())
    path.write_text(text)
    assert n == 1
    with pytest.raises(RuntimeError, match=r"network_load of .* says -2; allowed: 0"):
        c.run(path, x)


# What can't be


class Wavy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.Sigmoid())

    def forward(self, x):
        return self.body(x)


@pytest.mark.parametrize("entropy_coded", [False, True])
def test_a_network_that_no_integers_do_is_refused_by_name(tmp_path, entropy_coded):
    with pytest.raises(ValueError, match=r"body\.2"):
        c.export(
            Wavy(), tmp_path / "a.c", example=images(1), calibration=images(40), entropy_coded=entropy_coded
        )
    assert list(tmp_path.iterdir()) == []


def test_bad_input(tmp_path):
    model, x, path = zoo.build("lenet300", hidden=(4, 4)), images(40), tmp_path / "net.c"
    with pytest.raises(ValueError, match="calibration is None"):
        c.export(model, path, example=x)
    with pytest.raises(ValueError, match="number of calibration images is 1"):
        c.export(model, path, example=x, calibration=x[:1])
    with pytest.raises(ValueError, match=r"ends in \.c"):
        c.export(model, tmp_path / "net.h", example=x, calibration=x)
    with pytest.raises(ValueError, match=r"the model is 'IntegerNetwork'; allowed: a torch.nn.Module"):
        c.export(integers_of(model, x), path, example=x, entropy_coded=True)
    twice = nn.Linear(4, 4)
    shared = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), twice, nn.ReLU(), twice)
    with pytest.raises(
        ValueError, match=r"what the layer '_2' has is 'no weight of its own'; allowed: a weight in float32"
    ):
        c.export(shared, path, example=x, calibration=x, entropy_coded=True)
    with pytest.raises(ValueError, match="no layer with weights"):
        c.export(nn.Sequential(nn.ReLU()), path, example=x, calibration=x, entropy_coded=True)
    assert not path.exists()
    c.export(model, path, example=x, calibration=x)
    with pytest.raises(ValueError, match=r"the shape of the images is \(40, 27\); allowed: .* 784 numbers"):
        c.run(path, x.reshape(40, -1)[:, :27])
    path.write_text("int x;")
    with pytest.raises(ValueError, match=r"the C file is '.*net\.c'; allowed: one that mcomp\.deploy\.c"):
        c.run(path, x)


def test_without_a_compiler_a_sentence_says_so(tmp_path, monkeypatch):
    path = c.export(
        zoo.build("lenet300", hidden=(4, 4)), tmp_path / "a.c", example=images(1), calibration=images(40)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(
        RuntimeError, match=r"no C compiler on this machine \(gcc and cc not found\): install gcc"
    ):
        c.run(path, images(2))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RuntimeError, match=r"no C compiler .*no-such-compiler"):
        c.run(path, images(2))


def test_what_the_compiler_says_is_shown(tmp_path):
    (tmp_path / "bad.c").write_text("int f(void) { int unused; return 0; }\n")
    with pytest.raises(RuntimeError, match=r"(?s)failed:.*unused"):
        c.compiled(tmp_path / "bad.c", tmp_path / "bad.o", "-c")
