"""What a table is said to be filled by is what fills it, as a real sweep's store shows."""

import ast
from pathlib import Path

import pytest

from zoo_eval.evaluations.evaluation import EVALUATIONS
from zoo_eval.store import Store
from zoo_eval.tables import TABLES

ROOM = Path(__file__).parents[2] / "zoo_eval" / "evaluations"
# The options of the tiny sweep's evaluations that fill more tables.
OPTIONS = {"minimal_attack with save_perturbations", "minimal_attack with importance"}


def test_every_table_says_what_fills_it_in_names_that_there_are():
    for name, table in TABLES.items():
        assert table.filled_by, name
        for one in table.filled_by:
            kind, _, option = one.partition(" with ")
            assert (
                one == "every sweep" or one.startswith("zoo-eval ") or kind in EVALUATIONS.things()
            )
            if option:
                assert option.split()[0] in EVALUATIONS.get(kind).model_fields


def test_a_finished_sweep_filled_just_the_tables_that_say_so(finished):
    store = Store(str(finished / "results" / "demo"))
    evaluations = set(store.read("trials").to_pandas().evaluation) & EVALUATIONS.things().keys()
    assert len(evaluations) >= 4
    ran = {"every sweep", *evaluations, *OPTIONS}
    filled = {name for name in TABLES if store.read(name).num_rows}
    assert filled == {name for name, table in TABLES.items() if ran & set(table.filled_by)}


@pytest.mark.parametrize("kind", ["spatial_fit", "human_alignment"])
def test_the_source_of_an_evaluation_names_the_tables_that_it_fills(kind):
    tree = ast.parse((ROOM / f"{kind}.py").read_text())
    keys = {k.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for k in node.keys if isinstance(k, ast.Constant)}  # fmt: skip
    own = {
        name
        for name, table in TABLES.items()
        if any(one.partition(" with ")[0] == kind for one in table.filled_by)
    }
    # Its companion fills the ceilings.
    assert keys & TABLES.keys() == own - {"ceilings"}
