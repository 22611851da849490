"""What other packages declare is read back as it was, or refused in one line."""

import pyarrow as pa
import pytest

from zoo_eval.errors import BadInput
from zoo_eval.tables import COUNT, TABLES, VIEWS, Column, Table, View, trial_table
from zoo_eval.tables.declared import TYPES, check, check_same, from_json, to_json

OWN = trial_table(
    "own",
    "model x thing",
    *(Column(f"c{n}", one, f"of {name}", "px", n % 2 == 0) for n, (name, one) in enumerate(TYPES.items())),
)  # fmt: skip
ASKED = View("asked", "-- What?\nSELECT 'ä' AS \"x\"")


@pytest.mark.parametrize("one", [OWN, ASKED], ids=["table", "view"])
def test_a_declaration_is_read_back_as_it_was(one):
    check(one)
    assert from_json(to_json(one)) == one
    check_same(from_json(to_json(one)), one)


def test_every_type_of_the_built_in_tables_can_be_declared():
    used = {str(column.type) for table in TABLES.values() for column in table.columns}
    assert used <= TYPES.keys()


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_a_built_in_name_is_taken_and_both_are_named(name):
    kind = "table" if name in TABLES else "view"
    with pytest.raises(
        BadInput, match=rf"view '{name}' \(What\?\) and the built-in {kind} '{name}'"
    ):
        check(View(name, "-- What?\nSELECT 1"))


@pytest.mark.parametrize("name", ["Own", "own table", "../own", "1own", "", "declared", "inputs"])
def test_a_name_that_is_no_folder_of_its_own_is_refused(name):
    with pytest.raises(BadInput, match="a name has lower-case letters, digits and _"):
        check(Table(name, "thing", ()))


def test_a_column_that_cannot_be_kept_is_named_with_what_can():
    with pytest.raises(BadInput, match="column 'big N' is no name of lower-case letters"):
        check(Table("own", "thing", (Column("big N", COUNT, "?"),)))
    with pytest.raises(BadInput, match=r"column 'n' has type uint8; choose one of string, int32,"):
        check(Table("own", "thing", (Column("n", pa.uint8(), "?"),)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "columns|indices"),
        ("{}", "columns"),
        ('{"table": "own"}', "columns"),
        ('{"view": "trials", "sql": "SELECT 1"}', "the built-in table 'trials' have one name"),
        ('{"table": "own", "grain": "x", "columns": [{"name": "n", "type": "string"}]}', "meaning"),
        ('{"table": "own", "grain": "x", "columns": [{"name": "n", "type": "number"}]}', "number"),
    ],
)
def test_anything_else_is_no_declaration(text, reason):
    with pytest.raises(ValueError, match=reason):
        from_json(text)
