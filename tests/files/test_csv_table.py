"""Tables of text are read as people and spreadsheets write them, or refused with their line."""

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table

PLAIN = "image,label\na.png,1\nb.png,2\n"


def table(tmp_path, content, *needed):
    file = tmp_path / "table.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return csv_table.read("here", file, needed or ("image", "label"))


def read(tmp_path, content):
    return [(line["image"], line["label"]) for line in table(tmp_path, content).lines]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN + "\n\n,\n",
        PLAIN.replace("image,label", " Image , LABEL "),
        PLAIN.replace("a.png", '"a.png"').replace("b.png", " b.png "),
        "image,label,,\na.png,1,,\nb.png,2,,\n",
        ",image,label\n0,a.png,1\n1,b.png,2\n",
        "image;label;note\na.png;1;x,y\nb.png;2;\n",
    ],
)
def test_it_is_read_however_it_was_saved(tmp_path, content):
    assert read(tmp_path, content) == [("a.png", "1"), ("b.png", "2")]


def test_text_is_in_composed_unicode(tmp_path):
    decomposed = "image,label\ncafe\u0301.png,1\n"
    assert read(tmp_path, decomposed) == [("caf\u00e9.png", "1")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("image,label\na.png,1\nb.png\n", "here, line 3: 1 cells below 2 columns"),
        ("image,label\na,b.png,1\n", "here, line 2: 3 cells below 2 columns"),
        ("image,label,label\na,1,2\n", "column 'label' stands twice"),
        ("file,class\na,1\n", "expected columns image,label, but there is no 'image'"),
        ('image,label\n"a.png,1\nb.png,2\n', "line 3: unexpected end of data"),
        ("image,label\na\0.png,1\n", "is no CSV"),
        (b"image,label\n\xff\xfe.png,1\n", "here, line 2: is no text in UTF-8; save it as CSV"),
        (b"", "here is empty"),
        (b"\n\n", "here is empty"),
        (b"<!DOCTYPE html><html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a Git LFS pointer"),
        (b"\x1f\x8b\x08\x00\xff\xff", "compressed by gzip; unpack it"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(tmp_path, content, said):
    with pytest.raises(BadInput) as error:
        table(tmp_path, content)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BadInput, match=r"here cannot be read \(No such file"):
        csv_table.read("here", tmp_path / "none.csv", ("a",))


@pytest.mark.parametrize(
    ("text", "separator", "value"),
    [
        ("0,5", ";", 0.5),
        ("0.5", ";", 0.5),
        ("1,25", "\t", 1.25),
        ("-3", ",", -3.0),
        ("1e3", ",", 1000.0),
    ],
)
def test_numbers_may_have_decimal_commas_where_commas_do_not_separate(text, separator, value):
    assert csv_table.number(text, separator) == value


@pytest.mark.parametrize(
    ("text", "separator"),
    [("0,5", ","), ("1.000,5", ";"), ("1,000,5", ";"), ("1_000", ","), ("", ",")],
)
def test_a_number_that_may_mean_two_things_is_none(text, separator):
    with pytest.raises(ValueError, match=r"no number|could not convert"):
        csv_table.number(text, separator)
