"""Ceilings from a CSV are put in the recording's order; every fault is located."""

import pytest
from numpy.testing import assert_allclose

from zoo_eval.errors import BadInput
from zoo_eval.recordings import ceiling_file

TARGETS = ("t1", "t2", "t3")


def read(tmp_path, text, scale="reliability"):
    path = tmp_path / "ceilings.csv"
    path.write_text(text)
    return ceiling_file.read("r", path, TARGETS, scale)


def test_values_are_in_the_order_of_the_targets(tmp_path):
    found = read(tmp_path, "target,area,ceiling\nt3,IT,0.3\nt1,IT,1\nt2,V4,0\n")
    assert_allclose(found.values, [1, 0, 0.3], rtol=0)
    assert found.scale == "reliability"


def test_the_digest_follows_from_values_and_scale(tmp_path):
    text = "target,ceiling\nt1,0.1\nt2,0.2\nt3,0.3\n"
    one, other = read(tmp_path, text), read(tmp_path, text, "variance")
    reordered = read(tmp_path, "target,ceiling\nt3,0.3\nt1,0.10\nt2,0.2\n")
    changed = read(tmp_path, text.replace("0.2", "0.21"))
    assert one.digest == reordered.digest
    assert len({one.digest, other.digest, changed.digest}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; write a header with target, ceiling"),
        ("target,value\nt1,0.1\n", "expected columns target,ceiling, but there is no 'ceiling'"),
        ("target,ceiling\nt1,0.1\n", r"no ceiling for target 't2' \(2 such targets\)"),
        ("target,ceiling\nt1,0.1\nt1,0.2\n", "line 3: target 't1' stands twice"),
        ("target,ceiling\nt1,0.1\nt4,0.2\n", "line 3: unknown target 't4'; nearest: t"),
        ("target,ceiling\nt1,high\n", "line 2: ceiling 'high' is no number"),
        ("target,ceiling\nt1,\n", "line 2: ceiling '' is no number"),
        ("target,ceiling\nt1\n", "line 2: 1 cells below 2 columns"),
        ("target,ceiling\nt1,nan\n", "line 2: ceiling 'nan' is no number"),
        ("target,ceiling\nt1,81.6\n", "81.6 is not from 0 to 1; divide percents by 100"),
        ("target,ceiling\nt1,-0.1\n", "-0.1 is not from 0 to 1"),
    ],
)
def test_a_fault_is_located(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path, text)


def test_an_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(BadInput, match=r"absent\.csv cannot be read \(No such file"):
        ceiling_file.read("r", tmp_path / "absent.csv", TARGETS, "variance")
    (tmp_path / "binary.csv").write_bytes(b"target\n\x80\xff")
    with pytest.raises(BadInput, match=r"binary\.csv, line 2: is no text in UTF-8; save it as CSV"):
        ceiling_file.read("r", tmp_path / "binary.csv", TARGETS, "variance")
