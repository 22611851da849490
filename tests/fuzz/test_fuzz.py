"""Damaged and foreign files: every reader gives a value, or one line that names the file; nothing else."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.damage import FOREIGN, damages
from tests.fuzz.outcome import ESCAPED, OTHER, SAME, outcome
from tests.fuzz.readers import READERS

# Formats in which every byte is covered by a checksum, or by a structure that shows each change.
CHECKED = {"image.png", "clicks.tfrecords", "images.zip"}
WEIGHTS = {"weights.pth", "weights.safetensors", "weights.h5"}
N_EXAMPLES = 40
EACH = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each reader's file, its bytes and what is read from it, made once."""
    found = {}

    def of(reader):
        if reader.name not in found:
            path = reader.write(tmp_path_factory.mktemp("fuzz"))
            found[reader.name] = path, path.read_bytes(), reader.read(path)
        return found[reader.name]

    return of


@EACH
@settings(
    max_examples=N_EXAMPLES, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(damage=damages())
def test_a_damaged_file_is_a_value_or_one_line(made, reader, damage):
    path, whole, expected = made(reader)
    path.write_bytes(damage(whole))
    found = outcome(reader, path, expected)
    assert not found.startswith(ESCAPED), found
    if reader.name in CHECKED and damage.kind != "appended" and damage(whole) != whole:
        assert found != OTHER, "damage that the format can show was read as something else"


@EACH
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_one_line(made, reader, kind):
    path, whole, expected = made(reader)
    path.write_bytes(FOREIGN[kind](whole))
    found = outcome(reader, path, expected)
    assert not found.startswith(ESCAPED), found


@EACH
def test_a_file_of_another_format_is_one_line(made, reader):
    path, _, expected = made(reader)
    for other in READERS:
        _, whole, _ = made(other)
        if other.name != reader.name:
            path.write_bytes(whole)
            found = outcome(reader, path, expected)
            assert not found.startswith(ESCAPED), f"{other.name}: {found}"
            # Weights are read by what they are, and not by their suffix.
            alike = other.read is reader.read or {reader.name, other.name} <= WEIGHTS
            assert found != SAME or alike, other.name
