"""What a file that cannot be read is said to be, and what to do."""

import zipfile

import numpy as np
import pytest
import torch

from zoo_eval.files import foreign

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize(
    ("content", "said", "step"),
    [
        (b"", "empty", "fetch"),
        (LFS, "Git LFS pointer", "git lfs pull"),
        (b"/annex/objects/MD5-s1--0", "git-annex pointer", "git annex get"),
        (b"\n  <!DOCTYPE html><html>", "HTML page", "fetch the file itself"),
        (b"\xef\xbb\xbf<html>", "HTML page", "fetch the file itself"),
        (b'<?xml version="1.0"?><Error>', "XML page", "fetch the file itself"),
        (b"\x1f\x8b\x08\x00", "gzip", "gunzip"),
        (b"\0" * 600, "nothing but zeros", "fetch it again"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript", "PNG"),
        (b"PK\x03\x04 and no more", "cut off", "fetch it again"),
        (b"anything else", "damaged, cut off or of another kind", "fetch it again"),
    ],
)
def test_it_is_told_by_its_beginning(tmp_path, content, said, step):
    file = tmp_path / "file.mat"
    file.write_bytes(content)
    told = foreign.told(file)
    assert said in told
    assert step in told.partition("; ")[2]
    assert "\n" not in told


def test_archives_are_told_by_what_they_hold(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "saved.npy")
    torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)).save(tmp_path / "script.pt")
    with (tmp_path / "arrays.mat").open("wb") as file:
        np.savez(file, a=np.ones(1))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.jpg", b"")
    names = ("saved.npy", "script.pt", "arrays.mat", "photos.zip")
    told = [foreign.told(tmp_path / name) for name in names]
    assert [one.partition(";")[0] for one in told] == [
        "it is a file of torch.save",
        "it is a TorchScript archive, which holds code",
        "it is a NumPy archive (.npz)",
        "it is a zip archive",
    ]


def test_a_file_that_cannot_be_opened_is_told_so(tmp_path):
    assert "cannot be opened" in foreign.told(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.mat", b"MATLAB 5.0 MAT-file"),
        ("a.mat", b"\x89HDF\r\n\x1a\n"),
        ("a.parquet", b"PAR1"),
        ("a.npy", b"\x93NUMPY\x01\x00"),
        ("a.jpg", b"\x89PNG\r\n\x1a\n"),
        ("a.PNG", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_one_that_begins_as_it_should_is_damaged(tmp_path, name, head):
    (tmp_path / name).write_bytes(head)
    assert foreign.told(tmp_path / name) == "it is damaged or cut off; fetch it again"
