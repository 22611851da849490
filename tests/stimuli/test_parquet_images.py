"""Parquet: images as bytes, plain or beside their paths, read by groups of rows that are held a while."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stimuli.planted_images import Alone, by_pillow, check, encoded, pixels, read
from zoo_eval.errors import BadInput
from zoo_eval.stimuli.parquet import ImageTable, ParquetImagesSection

N = 11
CONTENTS = [encoded(image) for image in pixels(N)]
STRUCTS = pa.array(
    [{"bytes": one, "path": f"{n:03d}.jpg"} for n, one in enumerate(CONTENTS)],
    pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
)
LABELS = list(range(0, 10 * N, 10))


def written(path, rows=4, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


@pytest.mark.parametrize(
    "image",
    [STRUCTS, pa.array(CONTENTS), pa.array(CONTENTS, pa.large_binary())],
    ids=["struct", "binary", "large"],
)
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_images_are_the_bytes_of_the_rows(tmp_path, image, rows):
    path = written(tmp_path / "a.parquet", rows, image=image, label=LABELS)
    found = read(ParquetImagesSection(path=path, label="label"))
    assert found.labels == tuple(LABELS)
    check(found, [by_pillow(content) for content in CONTENTS])


def test_ids_are_a_column_or_paths_or_numbers(tmp_path):
    path = written(tmp_path / "a.parquet", image=STRUCTS, stimulus_id=[f"s{n}" for n in range(N)], n=range(N))  # fmt: skip
    assert read(ParquetImagesSection(path=path)).ids == tuple(f"s{n}" for n in range(N))
    assert read(ParquetImagesSection(path=path, id="n")).ids == tuple(map(str, range(N)))
    found = read(ParquetImagesSection(path=written(tmp_path / "b.parquet", image=STRUCTS)))
    assert (found.ids[1], found.notes) == ("001.jpg", ("ids are the images' paths",))
    nameless = pa.array([{"bytes": one, "path": None} for one in CONTENTS], STRUCTS.type)
    found = read(ParquetImagesSection(path=written(tmp_path / "c.parquet", image=nameless)))
    assert (found.ids[1], len(found.notes)) == ("c/000001", 1)


def test_the_files_of_a_folder_are_one_set(tmp_path):
    for number, part in enumerate((slice(0, 5), slice(5, N))):
        written(tmp_path / f"train-{number}.parquet", image=STRUCTS[part], label=LABELS[part], of=[f"g{n // 3}" for n in LABELS[part]])  # fmt: skip
    (tmp_path / "README.md").write_text("x")
    section = ParquetImagesSection(path=tmp_path, label="label", groups="of")
    found = read(section)
    assert found.ids == tuple(f"{n:03d}.jpg" for n in range(N))
    assert found.groups == tuple(f"g{n // 3}" for n in LABELS)
    check(found, [by_pillow(content) for content in CONTENTS])
    assert section.is_whole
    limited = read(ParquetImagesSection(path=tmp_path, limit=7, label="label"))
    assert (limited.ids, limited.labels) == (found.ids[:7], found.labels[:7])
    assert len(read(ParquetImagesSection(path=tmp_path, files="train-1.*"))) == N - 5


def test_each_group_of_rows_is_read_once_in_order_whoever_asks(tmp_path, monkeypatch):
    found = read(ParquetImagesSection(path=written(tmp_path / "a.parquet", image=STRUCTS)))
    groups = []
    real = ImageTable.group

    def noting(table, number):
        groups.append(number)
        return real(table, number)

    monkeypatch.setattr(ImageTable, "group", noting)
    for number in range(N):
        _ = found.images[number]
    assert groups == [0, 1, 2]
    groups.clear()
    _ = found.digest
    # Headers and pixels, in two passes by many threads.
    assert groups.count(0) <= 2
    assert len(groups) <= 8


def test_values_that_repeat_are_held_once(tmp_path):
    same = pa.array([{"bytes": CONTENTS[0], "path": f"{n}"} for n in range(500)], STRUCTS.type)
    path = written(tmp_path / "a.parquet", 500, image=same)
    assert path.stat().st_size < 10 * len(CONTENTS[0]) + 10_000
    table = ImageTable("here", path, None)
    group = table.group(0)
    assert len(group) == 500
    assert group.nbytes < 10 * len(CONTENTS[0])
    assert group[499].as_py() == CONTENTS[0]


def test_a_group_of_rows_that_takes_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", 100, image=STRUCTS)
    monkeypatch.setattr(Alone, "memory_budget_bytes", 2 * sum(map(len, CONTENTS)) - 2000)
    with pytest.raises(BadInput, match=r"a\.parquet: row group 1 would take .*row_group_size=100"):
        read(ParquetImagesSection(path=path))


@pytest.mark.parametrize(
    ("columns", "known", "said"),
    [
        ({"label": LABELS}, {}, r"has 0 columns of bytes \(label\)"),
        ({"a": CONTENTS, "b": CONTENTS}, {}, r"has 2 columns of bytes \(a, b\); say which"),
        ({"a": CONTENTS}, {"image": "image"}, r"no column 'image' of bytes \(such columns: a\)"),
        ({"a": CONTENTS}, {"label": "label"}, r"no column 'label' \(columns: a\)"),
        ({"a": CONTENTS, "label": [0.5] * N}, {"label": "label"}, "column 'label' is double"),
        ({"a": CONTENTS, "label": [None, *LABELS[1:]]}, {"label": "label"}, "has empty cells"),
        ({"a": CONTENTS, "label": ["catt"] * N}, {"label": "label"}, "label 'catt' is no class index"),
        ({"a": CONTENTS, "id": ["x"] * N}, {"id": "id"}, "id 'x' stands twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, columns, known, said):
    path = written(tmp_path / "a.parquet", **columns)
    with pytest.raises(BadInput, match=said):
        read(ParquetImagesSection(path=path, **known))


def test_rows_without_bytes_or_with_others_are_named(tmp_path):
    for content, said in ((None, "has no bytes"), (b"x", "cannot be decoded as an image")):
        contents = [*CONTENTS[:6], content, *CONTENTS[7:]]
        images = pa.array([{"bytes": one, "path": "p"} for one in contents], STRUCTS.type)
        found = read(ParquetImagesSection(path=written(tmp_path / "a.parquet", image=images)))
        with pytest.raises(BadInput, match=rf"a\.parquet: row 7:? {said}"):
            _ = found.digest
