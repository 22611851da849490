"""Which files of a folder are stimuli: through links, without what is hidden, the rest counted aloud."""

import pytest
from PIL import Image

from zoo_eval.errors import BadInput
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.listing import listed


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return path


def names(folder, *include):
    found = listed(folder, include or ("*",))
    return [file.relative_to(folder).as_posix() for file in found.images]


def test_class_folders_and_files_that_are_links_are_followed(tmp_path):
    photo(tmp_path / "elsewhere" / "n01" / "a.png")
    single = photo(tmp_path / "elsewhere" / "single.png")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "n01").symlink_to(tmp_path / "elsewhere" / "n01")
    (folder / "b.png").symlink_to(single)
    (folder / "broken.png").symlink_to(tmp_path / "none.png")
    assert names(folder) == ["b.png", "n01/a.png"]
    assert len(read_folder("set", folder).images[0]) == 4


def test_a_link_to_a_folder_above_is_not_walked_for_ever(tmp_path):
    photo(tmp_path / "a" / "b" / "x.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/b/x.png"]


def test_two_links_to_one_folder_are_two_classes(tmp_path):
    photo(tmp_path / "a" / "x.png")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert names(tmp_path) == ["a/x.png", "b/x.png"]


def test_what_is_left_out_is_counted_aloud(tmp_path):
    for name in ("a.png", ".ipynb_checkpoints/a-checkpoint.png", "._a.png", "__MACOSX/b.png"):
        photo(tmp_path / name)
    for name in ("c.heic", "d.HEIC", "e.gif", "labels.csv", "README"):
        (tmp_path / name).write_bytes(b"")
    found = read_folder("set", tmp_path)
    assert found.ids == ("a.png",)
    assert found.remarks == [
        "3 hidden files are left out",
        "5 files are no images by their suffix (2 .heic, 1 .csv, 1 .gif, 1 without suffix) and left out",
    ]


def test_a_folder_that_is_itself_below_a_hidden_one_is_not_hidden(tmp_path):
    photo(tmp_path / ".cache" / "set" / "a.png")
    assert names(tmp_path / ".cache" / "set") == ["a.png"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a/x.png", "a/y.jpg", "b/x.png", "x.png"]),
        ("*.png", ["a/x.png", "b/x.png", "x.png"]),
        ("a/*", ["a/x.png", "a/y.jpg"]),
        ("a/**/x.png", ["a/x.png"]),
        ("**", ["a/x.png", "a/y.jpg", "b/x.png", "x.png"]),
        ("[ab]/x.*", ["a/x.png", "b/x.png"]),
        ("X.png", []),
    ],
)
def test_a_pattern_fits_the_end_of_a_path(tmp_path, pattern, found):
    for name in ("x.png", "a/x.png", "a/y.jpg", "b/x.png"):
        photo(tmp_path / name)
    assert names(tmp_path, pattern) == found
    assert names(tmp_path, pattern, pattern) == found


@pytest.mark.parametrize("pattern", ["", "/etc/*"])
def test_a_pattern_that_means_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(BadInput, match="a pattern is a name or a relative path"):
        listed(tmp_path, [pattern])


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    import os

    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    photo(tmp_path / "closed" / "a.png")
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BadInput, match=r"closed: cannot be opened \(Permission denied\); check"):
        listed(tmp_path, ["*"])
