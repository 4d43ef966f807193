"""Zip archives: whole, damaged, hostile, and continued after a kill."""

import stat
import zipfile

import pytest

from cfm.data.archives import extract_zip
from cfm.errors import DownloadError


def make(path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def refused(archive, root, prefix: str = "") -> str:
    with pytest.raises(DownloadError) as caught:
        extract_zip(archive, root, prefix)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def archive(tmp_path):
    members = {"val2017/": b"", "val2017/1.jpg": b"one" * 100, "val2017/2.jpg": b"two", "annotations/a.json": b"{}"}
    return make(tmp_path / "coco.zip", members)


def test_members_keep_their_paths(archive, tmp_path):
    root = tmp_path / "coco"
    assert extract_zip(archive, root) == 3
    assert (root / "val2017" / "1.jpg").read_bytes() == b"one" * 100
    assert (root / "annotations" / "a.json").read_bytes() == b"{}"
    assert extract_zip(archive, root) == 0


def test_only_the_prefix(archive, tmp_path):
    assert extract_zip(archive, tmp_path / "coco", "annotations/") == 1
    assert not (tmp_path / "coco" / "val2017").exists()
    assert "holds no file named train2017/*" in refused(archive, tmp_path / "coco", "train2017/")


def test_a_killed_extraction_continues(archive, tmp_path):
    root = tmp_path / "coco"
    extract_zip(archive, root)
    (root / "val2017" / "2.jpg").unlink()
    (root / "val2017" / "1.jpg").write_bytes(b"one")
    kept = (root / "annotations" / "a.json").stat().st_mtime_ns
    assert extract_zip(archive, root) == 2
    assert (root / "val2017" / "1.jpg").read_bytes() == b"one" * 100
    assert (root / "annotations" / "a.json").stat().st_mtime_ns == kept


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil", "a\0/../evil"])
def test_names_that_leave_the_folder(tmp_path, name):
    archive, stored = tmp_path / "slip.zip", name.encode()
    make(archive, {"fine.txt": b"", "x" * len(stored): b"evil"})
    archive.write_bytes(archive.read_bytes().replace(b"x" * len(stored), stored))
    assert "outside the folder" in refused(archive, tmp_path / "deep" / "root")
    assert not (tmp_path / "deep").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["slip.zip"]


def test_links_are_refused(tmp_path):
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    assert "is a link" in refused(path, tmp_path / "root")


def test_damaged_member_leaves_nothing(tmp_path):
    path = make(tmp_path / "bad.zip", {"a.bin": bytes(range(256)) * 8}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    assert "member a.bin is damaged" in refused(path, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_truncated_not_a_zip_and_missing(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-30])
    assert "not a whole zip archive" in refused(archive, tmp_path / "root")
    archive.write_bytes(b"hello")
    assert "not a whole zip archive" in refused(archive, tmp_path / "root")
    assert "no such archive" in refused(tmp_path / "absent.zip", tmp_path / "root")


def test_full_disk_is_seen_first(archive, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 5})
    monkeypatch.setattr("cfm.data.archives.shutil.disk_usage", lambda _: usage)
    assert "are free; make room" in refused(archive, tmp_path / "root")


def test_unwritable_target(archive, tmp_path):
    root = tmp_path / "root"
    (root / "val2017" / "1.jpg" / "in the way").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"val2017/1.jpg: cannot be written"):
        extract_zip(archive, root)
