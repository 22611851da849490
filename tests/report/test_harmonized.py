"""The report's section of harmonized networks beside their controls, there only where there is a pair."""

from tests.queries.zoo import Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.report import harmonized
from zoo_eval.report.html import page
from zoo_eval.store import Store


def store(tmp_path, name, control):
    zoo = Zoo(Store(str(tmp_path / name), create=True))
    for model, longest in (("harmonized/a", 3.0), ("harmonized/a_control", 1.0)):
        zoo.card(model)
        zoo.accuracy(model, 0.5)
        zoo.attack(model, [longest + n * longest / 8 for n in range(6)], aligned=None)
    run = {"control": control, "trained_from": "timm/x", "harmonization_lambda": 4.0}
    zoo.add("harmonize", "training_runs", [run], model="harmonized/a")
    return zoo.commit()


def test_a_pair_has_its_difference_and_interval_on_the_page(tmp_path):
    connection = connect(store(tmp_path, "s", "harmonized/a_control"))
    (row,) = harmonized.harmonized(connection).rows
    assert (row["measure"], row["n"], row["harmonization_lambda"]) == ("tolerance", 6, 4.0)
    # 3 (1 + n / 8) - (1 + n / 8) for n = 0..5: mean 2.625, deviation 0.4677, t(5) = 2.5706.
    assert row["difference"] == 2.625
    assert row["interval"] == "2.134 to 3.116"
    html = page(connection, "store")
    assert '<section id="harmonized"' in html
    assert "Harmonized less control" in html
    assert "2.134 to 3.116" in html


def test_without_a_pair_there_is_no_section(tmp_path):
    connection = connect(store(tmp_path, "s", None))
    assert not harmonized.harmonized(connection)
    assert '<section id="harmonized"' not in page(connection, "store")
