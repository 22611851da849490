"""Which separator a table has, and what its numbers are, follows from stated rules, in every reader."""

import numpy as np
import pytest

from zoo_eval.errors import BadInput
from zoo_eval.files import csv_table, text
from zoo_eval.recordings import ceiling_file, rdm_file
from zoo_eval.stimuli import ids
from zoo_eval.sweep import facts, toml


def file(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "separator", "cells"),
    [
        ("0,5;0,25;0,1\n0;1,5;2,5\n", ";", ["0,5", "0,25", "0,1"]),
        ("0,5\t0,25\n1,5\t2,5\n", "\t", ["0,5", "0,25"]),
        ("a;b,c;d\n1;2;3\n", ";", ["a", "b,c", "d"]),
        ("a,b;c\n1,2\n", ",", ["a", "b;c"]),
        ('"a;b;c;d",e\n1,2\n', ",", ["a;b;c;d", "e"]),
        ("sep=;\na;b\n", ";", ["a", "b"]),
        ('"sep=,"\r\na,b;c\r\n', ",", ["a", "b;c"]),
        ("alone\n", "\t", ["alone"]),
    ],
)
def test_the_separator_is_the_one_that_two_lines_have_as_many_of(tmp_path, content, separator, cells):  # fmt: skip
    grid = csv_table.opened("here", file(tmp_path, content))
    assert grid.rows[0][1] == cells
    assert len(cells) == 1 or grid.separator == separator


def test_the_separator_is_one_by_which_the_needed_columns_are_there(tmp_path):
    path = file(tmp_path, "image,label,a;b\nx.png,1,c;d\n")
    (line,) = csv_table.read("here", path, ("image", "label")).lines
    assert (line["image"], line["label"]) == ("x.png", "1")


def test_lines_are_counted_with_the_one_that_states_the_separator(tmp_path):
    path = file(tmp_path, "sep=;\nimage;label\na.png;x\n")
    (line,) = csv_table.read("here", path, ("image", "label")).lines
    assert line.where == "here, line 3"


@pytest.mark.parametrize("written", ["1,234", "-12,500"])
def test_commas_that_may_be_of_thousands_are_refused_between_tabs(written):
    assert csv_table.number(written, ";") == float(written.replace(",", "."))
    with pytest.raises(ValueError, match="may have a decimal comma or thousands"):
        csv_table.number(written, "\t")
    assert csv_table.number("0,234", "\t") == 0.234


def test_utf_16_without_a_mark_is_told(tmp_path):
    path = file(tmp_path, "image,label\n".encode("utf-16-le"))
    with pytest.raises(BadInput, match=r"line 1: is no CSV: it has bytes of zero, as UTF-16"):
        csv_table.opened("here", path)


def test_a_form_feed_or_an_odd_space_ends_no_line():
    assert text.lines("a\x0cb\u2028c\r\nd\re") == ["a\x0cb\u2028c", "d", "e"]


DECIMAL = "0;0,5;1\n0,5;0;0,25\n1;0,25;0\n"


@pytest.mark.parametrize("head", ["", ";;\n", "a;b;c\n"])
def test_an_rdm_may_have_decimal_commas_and_empty_columns(tmp_path, head):
    named = head.replace(";;\n", "")
    for tail in ("", ";;"):
        content = (named + DECIMAL).replace("\n", f"{tail}\n")
        found = rdm_file.read("here", file(tmp_path, content, "rdm.csv"), None, 3)
        assert np.array_equal(found.array, [[0, 0.5, 1], [0.5, 0, 0.25], [1, 0.25, 0]])


def test_an_rdm_with_a_thousand_as_python_writes_it_is_refused(tmp_path):
    path = file(tmp_path, "0,1,2\n1,0,1_0\n2,1_0,0\n", "rdm.csv")
    with pytest.raises(BadInput, match="'1_0'; give numbers"):
        rdm_file.read("here", path, None, 3)


@pytest.mark.parametrize("content", ["a.png\nb.png\nc.png\n", "a.png,b.png,c.png\n"])
def test_an_rdm_of_names_alone_is_refused(tmp_path, content):
    with pytest.raises(BadInput, match="has names alone, and no numbers"):
        rdm_file.read("here", file(tmp_path, content, "rdm.csv"), None, 3)


def test_ceilings_are_found_by_targets_in_another_form(tmp_path):
    path = file(tmp_path, "Target;CEILING\ncaf\u00e9;0,5\n3.0;1\n")
    found = ceiling_file.read("r", path, ["3", "cafe\u0301"], "variance")
    assert found.values.tolist() == [1.0, 0.5]
    with pytest.raises(BadInput, match="composed in two ways: rename one"):
        ceiling_file.read("r", path, ["3", "cafe\u0301", "caf\u00e9"], "variance")


def test_facts_may_have_decimal_commas_and_whole_numbers_as_spreadsheets_write_them(tmp_path):
    path = file(tmp_path, "Model;year;published_top1\ncaf\u00e9;2016.0;0,76\n")
    (row,) = facts.read(path).rows["caf\u00e9"]
    assert row.facts == {"year": 2016, "published_top1": 0.76}
    for wrong in ("2016.5", "nan", "inf"):
        path = file(tmp_path, f"model,year\nx,{wrong}\n")
        with pytest.raises(BadInput, match=rf"line 2: year '{wrong}' is no whole number"):
            facts.read(path)


def test_facts_are_joined_to_a_name_in_another_form(tmp_path):
    from zoo_eval.catalog import ModelCard
    from zoo_eval.transforms import Transform

    sheet = facts.read(file(tmp_path, "model,family\nlocal/caf\u00e9,ours\n"))
    card = ModelCard(name="local/cafe\u0301", architecture="timm/resnet18", source="local")
    assert facts.joined(card, [sheet], Transform).family == "ours"
    assert "facts for 1 of 1 models" in sheet.matched([card])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_toml_and_lists_are_read_however_they_were_saved(tmp_path, encoding, end):
    path = file(tmp_path, f'# caf\u00e9{end}a = "b"{end}'.encode(encoding), "a.toml")
    assert toml.opened(path)[1] == {"a": "b"}
    path = file(tmp_path, f"caf\u00e9.png{end}b.png{end}".encode(encoding), "ids.txt")
    assert ids.listed(path) == ("caf\u00e9.png", "b.png")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
        (b"\x1f\x8b\x08\x00\xff", "compressed by gzip"),
        (b"a\x00b", "line 1: is no .*bytes of zero"),
        (b"ok\n\xff\xff", "line 2: is no text in UTF-8; save it as"),
    ],
)
@pytest.mark.parametrize("reader", [toml.opened, ids.listed, facts.read])
def test_what_is_no_text_is_one_line_in_every_reader(tmp_path, reader, content, said):
    with pytest.raises(BadInput, match=rf"table\.csv.*{said}") as error:
        reader(file(tmp_path, content))
    assert "\n" not in str(error.value)
