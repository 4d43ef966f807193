"""Packs: the same bytes for the same streams, whole or not at all, damage found."""

import zipfile

import pytest

from cfm.codecs.pack import PackWriter, read_pack
from cfm.errors import BitstreamError, InputError

STREAMS = {"000000000007": b"seven", "000000000001/2": b"", "000000000001/0": bytes(range(256))}


def write(path, streams):
    with PackWriter(path) as pack:
        for name, stream in streams.items():
            pack.add(name, stream)


def test_round_trip_and_order(tmp_path):
    write(tmp_path / "a.zip", STREAMS)
    pack = read_pack(tmp_path / "a.zip")
    assert dict(pack) == STREAMS
    assert list(pack) == sorted(STREAMS)


def test_bytes_depend_on_streams_alone(tmp_path):
    write(tmp_path / "a.zip", STREAMS)
    write(tmp_path / "b.zip", dict(reversed(STREAMS.items())))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_members_are_stored(tmp_path):
    write(tmp_path / "a.zip", STREAMS)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_nothing_remains_of_a_pack_that_failed(tmp_path):
    with pytest.raises(TypeError):
        write(tmp_path / "a.zip", STREAMS | {"000000000009": None})
    assert list(tmp_path.iterdir()) == []


def test_two_streams_of_one_name_are_refused(tmp_path):
    with PackWriter(tmp_path / "a.zip") as pack:
        pack.add("1", b"x")
        with pytest.raises(ValueError, match="named 1"):
            pack.add("1", b"y")
    assert dict(read_pack(tmp_path / "a.zip")) == {"1": b"x"}


def test_absent_pack_and_absent_stream(tmp_path):
    with pytest.raises(InputError, match=r"a\.zip"):
        read_pack(tmp_path / "a.zip")
    write(tmp_path / "a.zip", STREAMS)
    with pytest.raises(KeyError):
        read_pack(tmp_path / "a.zip")["nothing"]


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_damage_is_found(tmp_path, damage):
    path = tmp_path / "a.zip"
    write(path, STREAMS)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[content.index(bytes(range(100, 120)))] ^= 1
    else:
        content = b"not a zip archive"
    path.write_bytes(content)
    with pytest.raises(BitstreamError, match=r"a\.zip"):
        dict(read_pack(path))
