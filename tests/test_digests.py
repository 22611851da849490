"""A digest depends on content, in order, and on nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_eval.digests import bytes_digest, canonical_json, digest, file_digest, seed_from

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_matter(value):
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert digest(value) == digest(backwards)


@given(json_values, json_values)
def test_different_texts_have_different_digests(one, other):
    assert (digest(one) == digest(other)) == (canonical_json(one) == canonical_json(other))


def test_a_digest_is_the_head_of_sha256_of_the_canonical_text():
    assert canonical_json({"b": [1, 2.5, None], "a": "ä"}) == '{"a":"\\u00e4","b":[1,2.5,null]}'
    expected = hashlib.sha256(b'{"a":1}').hexdigest()[:32]
    assert digest({"a": 1}) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_what_is_not_a_number_has_no_canonical_text(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(value)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_chunks_and_files_have_the_digest_of_their_bytes(chunks):
    whole = b"".join(chunks)
    assert bytes_digest(chunks) == hashlib.sha256(whole).hexdigest()[:32]


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"abc" * 100000)
    assert file_digest(file) == bytes_digest([b"abc" * 100000])


@given(st.text(), st.text())
def test_seeds_are_63_bit_and_follow_from_the_text(one, other):
    assert 0 <= seed_from(one) < 2**63
    assert (seed_from(one) == seed_from(other)) == (one == other)
