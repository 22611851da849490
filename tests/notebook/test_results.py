"""What a store holds, by name and in SQL: equal to Arrow's own reading, shown as a table."""

import sys
from datetime import UTC, datetime

import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import zoo_eval
from tests.queries.zoo import planted
from zoo_eval.errors import BadInput
from zoo_eval.store import Store
from zoo_eval.trial import Trial


@pytest.fixture
def store(tmp_path):
    """Thirty models with an accuracy each."""
    store = Store(str(tmp_path / "store"), create=True)
    for number in range(30):
        trial = Trial("accuracy", 1, "standard", model=f"m<{number:02d}>", weights_digest="w")
        run = {
            "attempt": 1, "status": "ok", "node": "n", "device": "cpu", "seconds": 1.0,
            "peak_host_bytes": 1, "library_versions": "{}", "code_revision": "r",
            "started_at": datetime(2025, 1, 1, tzinfo=UTC),
        }  # fmt: skip
        share = number / 30
        row = {"trial_id": trial.id, "model": trial.model, "n_images": 10}
        row |= dict.fromkeys(
            ("top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high"), share
        )
        store.commit({"accuracy": [row]}, [{**trial.row(), **run}])
    return store


@pytest.fixture
def results(store):
    return zoo_eval.open(store.uri)


def test_a_table_is_what_its_files_hold(store, results):
    in_files = ds.dataset(f"{store.root}/accuracy").to_table().sort_by("model")
    found = results.accuracy().arrow().sort_by("model")
    assert found.equals(in_files.cast(found.schema))
    assert results["accuracy"].arrow().num_rows == len(results.accuracy()) == 30


def test_arrow_pandas_and_polars_hold_the_same(results):
    rows = results.sql("SELECT model, top1 FROM accuracy ORDER BY model")
    expected = rows.arrow().to_pylist()
    assert rows.df().to_dict("records") == expected
    assert rows.pl().to_dicts() == expected
    assert isinstance(rows.pl(), polars.DataFrame)
    assert isinstance(rows.arrow(), pa.Table)


def test_it_shows_itself_short_and_escaped(results):
    rows = results.sql("SELECT model, top1 FROM accuracy ORDER BY model")
    text, page = repr(rows), rows._repr_html_()
    assert text.splitlines()[-1] == "30 rows x 2 columns, the first 20 shown"
    assert "m<19>" in text
    assert "m<20>" not in text
    assert page.count("<tr>") == 21
    assert "<td>m&lt;19&gt;</td>" in page
    assert "m<" not in page


def test_nothing_is_computed_before_it_is_looked_at(results):
    rows = results.sql("SELECT error('looked at') AS x FROM accuracy")
    assert rows.columns == ("x",)
    with pytest.raises(BadInput, match="looked at"):
        rows.arrow()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_there_is_one_line(results, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    rows = results.accuracy()
    with pytest.raises(BadInput, match=f"{library} is not installed; pip install {library}"):
        rows.df() if library == "pandas" else rows.pl()
    assert rows.arrow().num_rows == 30


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT top2 FROM accuracy", "unknown column 'top2'; nearest: top5, top1"),
        ("SELECT a.top2 FROM accuracy AS a", "unknown column 'top2'; nearest: top5, top1"),
        ("SELECT * FROM acuracy", "unknown table or view 'acuracy'; nearest: accuracy"),
        ("SELECT * FROM zzzz", "unknown table or view 'zzzz'; known: "),
        ("DELETE FROM accuracy", "only one SELECT"),
    ],
)
def test_a_wrong_query_is_one_line_with_the_nearest_names(results, query, said):
    with pytest.raises(BadInput, match=said) as refusal:
        results.sql(query)
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_is_answered_with_the_nearest(results):
    with pytest.raises(BadInput, match="'acuracy'; nearest: accuracy"):
        results["acuracy"]
    with pytest.raises(AttributeError, match="'acuracy'; nearest: accuracy"):
        results.acuracy()
    assert not hasattr(results, "_repr_png_")


def test_names_are_completed_and_told(results):
    assert {"leaderboard", "accuracy", "failures", "tolerances", "sql"} <= set(dir(results))
    assert set(results) == set(results.names)
    assert "30 models, 30 trials done, 0 failed or refused" in repr(results)


def test_what_is_written_later_is_seen_after_a_refresh(store, results):
    assert len(results["trends"]) == 0
    found = results.update_trends()
    assert found.columns == results["trends"].columns
    trial = Trial("gate", 1, "exact", model="later")
    store.commit(
        {},
        [
            {
                **trial.row(), "attempt": 1, "status": "failed", "node": "n", "device": "cpu",
                "seconds": 1.0, "peak_host_bytes": 1, "library_versions": "{}", "code_revision": "r",
                "started_at": datetime(2025, 1, 2, tzinfo=UTC), "error_type": "E", "error_message": "m",
            }
        ],
    )  # fmt: skip
    assert len(results.failures()) == 0
    results.refresh()
    assert results.failures().df().model.tolist() == ["later"]


def test_a_store_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no store at"):
        zoo_eval.open(tmp_path / "nothing")


def test_a_question_is_answered_by_name(results):
    assert results.questions["completeness"] == "Which models lack which evaluations?"
    rows = results.question("completeness")
    assert rows.sql.startswith("-- Which models lack which evaluations?")
    assert rows.df().evaluation.tolist() == ["accuracy"] * 30
    with pytest.raises(BadInput, match="unknown question 'completness'; nearest: completeness"):
        results.question("completness")


def test_what_found_nothing_says_what_would_fill_it(results):
    assert "attacks (filled by minimal_attack)" in repr(results.tolerances())
    assert "filled by minimal_attack" in results.tolerances()._repr_html_()
    assert "filled" not in repr(results.accuracy())


def test_every_table_view_and_question_is_there_for_pandas_polars_and_arrow(tmp_path):
    results = zoo_eval.open(planted(Store(str(tmp_path / "planted"), create=True), 3).uri)
    asked = [results[name] for name in results.names]
    asked += [results.question(name) for name in results.questions]
    for rows in asked:
        arrow = rows.arrow()
        assert tuple(arrow.column_names) == rows.columns
        assert list(rows.df().columns) == rows.pl().columns == list(rows.columns)
        assert len(rows.df()) == rows.pl().height == arrow.num_rows == len(rows)
