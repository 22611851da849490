"""Whatever was used is cited, or said to have no reference here; nothing is cited twice."""

import re

from zoo_eval.report.bibliography import ENTRIES
from zoo_eval.report.references import references

KEY = re.compile(r"@\w+\{([a-z0-9]+),\n")


def keys(found):
    return {KEY.match(entry)[1] for entry in found.entries}


def test_every_entry_is_bibtex_with_a_key_of_its_own():
    found = [KEY.match(entry) for entry in ENTRIES]
    assert all(found)
    assert len({one[1] for one in found}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.count("{") == entry.count("}")
        for field in ("author", "title", "year"):
            assert re.search(rf"\b{field} = \{{", entry), entry


def test_what_was_used_is_cited():
    found = references(
        {"attack": {"ddn", "foolbox:L2CarliniWagnerAttack"}, "source": {"timm"}, "readout": {"cka"}}
    )
    assert {
        "rony2019ddn",
        "rauber2020foolbox",
        "carlini2017cw",
        "wightman2019timm",
        "kornblith2019cka",
    } <= keys(found)
    assert "ilharco2021openclip" not in keys(found)
    assert found.unknown == {}


def test_what_is_unknown_is_said_and_own_models_need_no_library():
    found = references({"attack": {"mine"}, "source": {"local"}, "protocol": {"corrected"}})
    assert found.unknown == {"attacks": ("mine",)}


def test_data_sets_are_found_by_their_names_which_is_said():
    found = references({"recording": {"MajajHong2015_it", "somebody"}})
    assert "majaj2015" in keys(found)
    assert found.by_name == ("MajajHong2015_it",)
    assert found.unknown == {"recordings": ("somebody",)}


def test_nothing_used_cites_the_software_alone():
    assert keys(references({})) == {
        "moritz2018ray", "raasveldt2019duckdb", "paszke2019pytorch", "satyanarayan2017vegalite",
    }  # fmt: skip
