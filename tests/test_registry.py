"""Things are found in the files of a room and in packages; what is wrong with one is its own fault."""

from importlib import metadata

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.registry import Registry
from zoo_eval.stimuli.stimulus_set import STIMULI

ROOM = """
class Red:
    colour = "red"

class Nameless:
    colour = None
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Colours of a room of two files; a test adds entry points to `points`."""
    folder = tmp_path / "planted_room"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "red.py").write_text(ROOM)
    (folder / "blue.py").write_text(
        'from planted_room.red import Red\n\nclass Blue:\n    colour = "blue"\n'
    )
    (tmp_path / "planted_offers.py").write_text(
        'class Green:\n    colour = "green"\n\nclass Red:\n    colour = "red"\n\nnumber = 1\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points: list[metadata.EntryPoint] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    found = Registry(
        "colour", room="planted_room", group="planted", names=lambda thing: getattr(thing, "colour", None)
    )  # fmt: skip
    found.points = points
    return found


def offer(registry, name, value):
    registry.points.append(metadata.EntryPoint(name, value, "planted"))


def test_a_rooms_files_hold_what_there_is_each_once(registry):
    assert list(registry) == ["blue", "red"]
    assert registry.get("red").__name__ == "Red"
    assert registry.faults() == []


def test_a_package_offers_more(registry):
    offer(registry, "green", "planted_offers:Green")
    assert list(registry) == ["blue", "green", "red"]
    assert registry.things()["green"].colour == "green"


def test_an_unknown_name_gives_the_nearest(registry):
    with pytest.raises(BadInput, match="unknown colour 'bleu'; nearest: blue"):
        registry.get("bleu")


def test_a_name_that_is_taken_twice_names_both_and_the_rest_can_be_had(registry):
    offer(registry, "red", "planted_offers:Red")
    said = "colour 'red' is offered twice, by planted_room.red and package planted_offers:Red"
    with pytest.raises(BadInput, match=said):
        registry.get("red")
    assert list(registry) == ["blue"]
    assert len(registry.faults()) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("planted_nowhere:Green", "cannot be imported .ModuleNotFoundError"),
        ("planted_offers:Absent", "cannot be imported .AttributeError"),
        ("planted_offers:number", "planted_offers:number is no colour"),
        ("planted_offers:Red", "planted_offers:Red calls itself 'red'"),
    ],
)
def test_what_a_package_cannot_give_is_named_and_the_rest_can_be_had(registry, value, said):
    offer(registry, "green", value)
    with pytest.raises(BadInput, match=f"colour 'green' of package {value.split(':')[0]}.*{said}"):
        registry.get("green")
    assert list(registry) == ["blue", "red"]
    assert said.split(" .")[0] in registry.faults()[0]


def test_the_formats_of_a_room_are_those_of_its_files():
    assert {"folder", "crops", "importance"} <= set(STIMULI)
