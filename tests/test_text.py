"""The text: the right bytes, split by file, the same everywhere."""

import hashlib
import lzma

import build_source_text
import pytest
import torch

from mcomp.data import text
from mcomp.data.text import END, load_text, stream


def test_the_package_holds_the_library_s_bytes():
    content = lzma.decompress(text._ASSET.read_bytes())
    assert hashlib.sha256(content).hexdigest() == build_source_text.CONTENT_SHA256
    assert text._ASSET.stat().st_size < 1_000_000


def test_every_file_is_in_one_part_whole():
    found = load_text()
    parts = [found.train, found.validation, found.test]
    names = [name for part in parts for name in part]
    assert len(names) == len({*names}) == 165
    together = b"".join(
        bytes(data.tolist()) for _, data in sorted((n, x) for p in parts for n, x in p.items())
    )
    content = lzma.decompress(text._ASSET.read_bytes()).partition(b"\n")[2]
    assert together == content
    assert all(x.dtype == torch.uint8 and 200 <= len(x) <= 150_000 for p in parts for x in p.values())
    sizes = [sum(map(len, part.values())) for part in parts]
    assert sizes == [3_726_234, 341_746, 364_234]  # a change of the rule would change every result


def test_no_file_holds_the_end_and_all_read_as_python():
    found = load_text()
    for part in (found.train, found.validation, found.test):
        for name, data in part.items():
            assert not bool((data == END).any())
            assert compile(bytes(data.tolist()).decode(), name, "exec", dont_inherit=True)


def test_what_is_returned_may_be_changed():
    load_text().test["copyreg.py"].zero_()
    assert int(load_text().test["copyreg.py"].max()) > 0


def test_a_stream_is_all_files_between_ends():
    files = load_text().test
    found = stream(files)
    pieces = bytes(found.tolist()).split(bytes([END]))
    assert pieces == [b"", *(bytes(x.tolist()) for x in files.values()), b""]


def test_other_sources_are_refused(tmp_path):
    (tmp_path / "this.py").write_bytes(b"s = 1\n" * 100)
    with pytest.raises(ValueError, match=r"have SHA-256 [0-9a-f]{64}; allowed"):
        build_source_text.build(tmp_path, tmp_path / "out.xz")
    assert not (tmp_path / "out.xz").exists()


def test_a_damaged_file_is_told(monkeypatch, tmp_path):
    packed = bytearray(text._ASSET.read_bytes())
    packed[1_000] ^= 255
    (tmp_path / "bad.xz").write_bytes(packed)
    monkeypatch.setattr(text, "_ASSET", tmp_path / "bad.xz")
    text._files.cache_clear()
    with pytest.raises(ValueError, match=r"bad.xz is damaged .*; install mcomp again"):
        load_text()
    text._files.cache_clear()
