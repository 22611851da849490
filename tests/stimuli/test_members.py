"""Members of archives are read alone and whole, and an archive that lies is refused before it is unpacked."""

import io
import struct
import tarfile
import zipfile
import zlib

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.files import members

CONTENT = {"a.txt": b"first" * 1000, "b/c.bin": bytes(range(256)), "d": b""}


def zipped(path, content=CONTENT, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def tarred(path, content=CONTENT, kind=tarfile.PAX_FORMAT, **known):
    with tarfile.open(path, "w", format=kind) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in known.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def test_a_zip_archive_gives_what_went_in(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = members.of_zip("here", zipped(tmp_path / "a.zip", method=method))
        assert {one.name: one.read() for one in found} == CONTENT


def test_a_zip_archive_that_was_streamed_has_its_sizes_in_its_directory(tmp_path):
    class Streamed(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError

        def tell(self):
            raise OSError

    file = Streamed()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    (tmp_path / "a.zip").write_bytes(file.getvalue())
    found = members.of_zip("here", tmp_path / "a.zip")
    assert {one.name: one.read() for one in found} == CONTENT


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_archive_gives_what_went_in(tmp_path, kind):
    content = {**CONTENT, "long/" + "x" * 90 + "/y" * 30: b"z"}
    found = members.of_tar("here", tarred(tmp_path / "a.tar", content, kind))
    assert {one.name: one.read() for one in found} == content


@pytest.mark.parametrize(("pack", "take"), [(zipped, members.of_zip), (tarred, members.of_tar)])
@pytest.mark.parametrize("name", ["../a", "/etc/a", "b/../../a"])
def test_a_member_that_leads_out_is_refused(tmp_path, pack, take, name):
    with pytest.raises(BadInput, match="leads out of the archive"):
        take("here", pack(tmp_path / "a", {name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    path = tarred(tmp_path / "a.tar", {"a": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(BadInput, match="'a' is a link, a device or sparse"):
        members.of_tar("here", path)


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_tar_archive_that_was_cut_off_is_refused_wherever(tmp_path, kept):
    path = tarred(tmp_path / "a.tar", {f"{n}": b"x" * 1500 for n in range(20)})
    whole = path.read_bytes()
    end = 20 * (512 + 1536)
    for cut in (int(kept * end), int(kept * 20) * 2048, end):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput):
            members.of_tar("here", path)


def test_two_tar_archives_in_one_file_are_not_half_read(tmp_path):
    path = tarred(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(BadInput, match="more behind its end"):
        members.of_tar("here", path)


def test_a_compressed_tar_archive_is_told(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(BadInput, match=r"no tar archive .* compressed by gzip; unpack it"):
        members.of_tar("here", tmp_path / "a.tar")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(BadInput, match="'a' stands twice"):
        members.of_tar("here", tmp_path / "a.tar")


def bomb(path, claimed):
    """An archive of one member that unpacks to 10 MB and claims another size."""
    packed = zipped(path, {"a": bytes(10_000_000)}).read_bytes()
    honest = struct.pack("<I", 10_000_000)
    path.write_bytes(packed.replace(honest, struct.pack("<I", claimed)))
    return path


def test_a_member_is_never_unpacked_beyond_what_it_claims(tmp_path, monkeypatch):
    (member,) = members.of_zip("here", bomb(tmp_path / "a.zip", 1000))
    asked = []
    real = zlib.decompressobj

    class Noting:
        def __init__(self, *given):
            self._stream = real(*given)

        def decompress(self, data, most):
            asked.append(most)
            return self._stream.decompress(data, most)

    monkeypatch.setattr(zlib, "decompressobj", Noting)
    with pytest.raises(BadInput, match="'a' is not what its archive says"):
        member.read()
    assert asked == [1001]


def test_sizes_that_no_image_has_are_refused_before_anything_is_read(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="which the file cannot hold"):
        members.of_zip("here", bomb(tmp_path / "a.zip", 2**31))
    monkeypatch.setattr(members, "MOST_MEMBER_BYTES", 4999)
    for take, path in (
        (members.of_zip, zipped(tmp_path / "b")),
        (members.of_tar, tarred(tmp_path / "c")),
    ):
        with pytest.raises(BadInput, match=r"'a.txt' has 4.9 KiB, more than any image"):
            take("here", path)


def test_a_byte_that_changed_differs_from_its_checksum(tmp_path):
    path = zipped(tmp_path / "a.zip", method=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    found = members.of_zip("here", path)
    path.write_bytes(whole.replace(b"first", b"First", 1))
    with pytest.raises(BadInput, match=r"a\.zip: 'a\.txt' differs from its checksum"):
        found[0].read()
    path.write_bytes(b"x" + whole)
    with pytest.raises(BadInput, match="is not where the archive's directory says"):
        found[0].read()


def test_a_zip_that_python_finds_behind_other_bytes_is_read_from_where_it_is(tmp_path):
    path = zipped(tmp_path / "a.zip")
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert {one.name: one.read() for one in members.of_zip("here", path)} == CONTENT
