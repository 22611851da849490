"""WebDataset: samples of tar shards, found by offset, labelled by their classes, named by their keys."""

import io
import json
import tarfile

import pytest

from tests.stimuli.planted_images import by_pillow, check, encoded, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.stimuli.webdataset import WebDatasetSection, expanded

KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
CONTENTS = [(kind, encoded(image, KINDS[kind])) for image, kind in zip(pixels(6), [*KINDS, *KINDS])]


def shard(path, numbers, *, start=0, extra=(), cls=True):
    with tarfile.open(path, "w") as archive:
        for at in numbers:
            kind, content = CONTENTS[at]
            name = f"{at - start:06d}"
            parts = {kind: content, "json": json.dumps({"stimulus_id": f"s{at}", "n": at}).encode()}
            if cls:
                parts["cls"] = f"{at * 10}\n".encode()
            for suffix, data in parts.items():
                add(archive, f"{name}.{suffix}", data)
        for name, data in extra:
            add(archive, name, data)


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


@pytest.fixture
def folder(tmp_path):
    """Two shards of three samples, with what is in none."""
    made = tmp_path / "shards"
    made.mkdir()
    shard(made / "train-0000.tar", range(3), extra=[("__meta__.json", b"{}"), ("README", b"")])
    shard(made / "train-0001.tar", range(3, 6))
    return made


def test_samples_are_those_of_all_shards(folder):
    found = read(WebDatasetSection(path=folder))
    assert found.ids == found.groups == tuple(f"{n:06d}" for n in range(6))
    assert found.labels == (0, 10, 20, 30, 40, 50)
    assert found.notes == ("images are labelled by their .cls",)
    check(found, [by_pillow(content) for _, content in CONTENTS])


def test_only_the_bytes_of_an_image_are_read_for_it(folder, monkeypatch):
    found = read(WebDatasetSection(path=folder))
    read_bytes = []
    real = type(found.images.members[0]).read

    def noting(member):
        read_bytes.append(member.n_bytes)
        return real(member)

    monkeypatch.setattr(type(found.images.members[0]), "read", noting)
    _ = found.images[4]
    assert read_bytes == [len(CONTENTS[4][1])]


@pytest.mark.parametrize(
    ("shards", "n"),
    [("train-{0000..0001}.tar", 6), ("train-{0001,0000}.tar", 6), ("train-0001.tar", 3), ("train-*.tar", 6), ("*-000[0].tar", 3)],
)  # fmt: skip
def test_shards_are_named_by_patterns_and_braces(folder, shards, n):
    found = read(WebDatasetSection(path=folder, shards=shards))
    assert len(found) == n
    assert found.ids[0] == (
        "000003" if "0001,0" in shards or shards == "train-0001.tar" else "000000"
    )


def test_braces_are_written_out():
    assert expanded("here", "a{00..02}{x,y}.tar") == [
        f"a0{n}{c}.tar" for n in range(3) for c in "xy"
    ]
    assert expanded("here", "{098..101}") == ["098", "099", "100", "101"]
    assert expanded("here", "{8..10}") == ["8", "9", "10"]
    for pattern in ("{9..0}", "{0..999999999}", "{0..999}{0..999}"):
        with pytest.raises(BadInput, match=r"^here: "):
            expanded("here", pattern)


def test_a_shard_that_is_missing_is_named(folder):
    with pytest.raises(BadInput, match=r"no shard 'train-0002.tar' in .* \(2 such\); fetch it"):
        read(WebDatasetSection(path=folder, shards="train-{0000..0003}.tar"))
    with pytest.raises(BadInput, match="are not in"):
        read(WebDatasetSection(path=folder, shards="../*.tar"))


def test_keys_that_repeat_need_their_shard_or_their_json(folder):
    shard(folder / "train-0001.tar", range(3, 6), start=3)
    with pytest.raises(BadInput, match="id '000000' stands twice"):
        read(WebDatasetSection(path=folder))
    by_shard = read(WebDatasetSection(path=folder, ids="shard"))
    assert by_shard.ids[2:4] == ("train-0000/000002", "train-0001/000000")
    assert read(WebDatasetSection(path=folder, ids="stimulus_id")).ids == tuple(f"s{n}" for n in range(6))  # fmt: skip
    assert read(WebDatasetSection(path=folder, ids="n")).ids == tuple(map(str, range(6)))
    with pytest.raises(BadInput, match=r"'000000.json': 'key' is None, no id"):
        read(WebDatasetSection(path=folder, ids="key"))


def test_a_limit_reads_no_shard_that_it_does_not_need(folder):
    (folder / "train-0001.tar").write_bytes(b"nonsense")
    section = WebDatasetSection(path=folder, limit=2)
    assert read(section).ids == ("000000", "000001")
    assert not section.is_whole


def test_labels_are_of_all_or_of_none(folder):
    shard(folder / "train-0001.tar", range(3, 6), cls=False)
    with pytest.raises(BadInput, match=r"train-0001.tar: '000003' has no .cls \(3 of 6 such\)"):
        read(WebDatasetSection(path=folder))
    assert read(WebDatasetSection(path=folder, label="")).labels is None
    assert read(WebDatasetSection(path=folder, shards="*1.tar")).labels is None


def test_a_sample_with_two_images_is_asked_about(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("x/0.in.png", "x/0.seg.png", "x/0.jpg", "x/0.png"):
            add(archive, name, CONTENTS[1][1] if name.endswith("png") else CONTENTS[0][1])
    with pytest.raises(BadInput, match=r"'x/0' has 2 images among .in.png, .seg.png, .jpg, .png"):
        read(WebDatasetSection(path=tmp_path))
    found = read(WebDatasetSection(path=tmp_path, image="seg.png"))
    assert found.ids == ("x/0",)
    check(found, [by_pillow(CONTENTS[1][1])])


@pytest.mark.parametrize(
    ("extra", "known", "said"),
    [
        (("000000.cls", b"x"), {}, "'000000.cls' stands twice"),
        (("9.jpg", CONTENTS[0][1]), {}, "'9' has no .cls"),
        (("9.txt", b"x"), {}, "'9' has 0 images among .txt"),
        (("9.t\nxt", b"x"), {}, r"'9' has 0 images among \.t\\nxt; say"),
        (("9.jpg", b""), {"label": ""}, r"'9\.jpg': cannot be decoded .*empty"),
    ],
)
def test_what_is_wrong_in_a_shard_is_named(tmp_path, extra, known, said):
    shard(tmp_path / "a.tar", range(3), extra=[extra])
    with pytest.raises(BadInput, match=said):
        _ = read(WebDatasetSection(path=tmp_path, **known)).digest


@pytest.mark.parametrize(
    ("part", "data", "said"),
    [
        ("cls", b"\xff", "no text in UTF-8"),
        ("cls", b"cat or so", "label 'cat or so' is no class index"),
        ("json", b"{", "is no JSON"),
        ("json", b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_class_or_a_json_that_is_none_is_named(tmp_path, part, data, said):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "0.jpg", CONTENTS[0][1])
        add(archive, f"0.{part}", data)
    with pytest.raises(BadInput, match=said):
        read(WebDatasetSection(path=tmp_path, ids="n" if part == "json" else "name"))
