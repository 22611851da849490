"""Labels are class indices, WordNet ids or names of ImageNet's classes, never an order of folders."""

import pytest
from PIL import Image

import zoo_eval
from zoo_eval.errors import BadInput
from zoo_eval.stimuli import classes
from zoo_eval.stimuli.folder import read_folder

GOLDFISH, CRANE_BIRD, CRANE_MACHINE = "n01443537", "n02012849", "n03126707"


def photos(tmp_path, *names):
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return tmp_path / "photos"


def test_there_are_a_thousand_classes_in_the_order_of_timms_networks():
    from timm.data import ImageNetInfo

    known, info = classes.imagenet(), ImageNetInfo("imagenet-1k")
    assert list(known.by_id) == info.label_names()
    assert list(known.by_id.values()) == list(range(1000))
    for index, description in enumerate(info.label_descriptions()):
        meant = known.by_name[description.casefold()]
        assert info.index_to_label_name(index) in meant


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("7", 7), ("7.0", 7), ("0", 0), ("1234", 1234), (GOLDFISH, 1), ("goldfish", 1),
        ("Carassius auratus", 1), ("great_white_shark", 2), ("great white shark", 2), (CRANE_BIRD, 134),
        ("tank suit", 639),
    ],
)  # fmt: skip
def test_a_label_is_a_number_an_id_or_a_name(text, index):
    assert classes.label("here", text) == index


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-5", "label -5 is no class index"),
        ("1e26", r"label 1e\+26 is no class index"),
        ("1.5", "label 1.5 is no class index"),
        ("nan", "label nan is no class index"),
        ("inf", "label inf is no class index"),
        ("n00000000", "'n00000000' is none of ImageNet's 1000 classes"),
        (
            "crane",
            f"'crane' names {CRANE_BIRD} .class 134. and {CRANE_MACHINE} .class 517.; write the id",
        ),
        ("maillot", "'maillot' names n03710637 .class 638. and n03710721 .class 639."),
        ("missile", "'missile' names n03773504 .class 657. and n04008634 .class 744."),
        ("goldfsh", "label 'goldfsh' is no class index, no WordNet id .*nearest: goldfish"),
        ("", "label '' is no class index"),
    ],
)
def test_what_says_no_class_or_several_is_refused(text, said):
    with pytest.raises(BadInput, match=said):
        classes.label("here", text)


def test_folders_named_by_wordnet_ids_just_work(tmp_path):
    folder = photos(tmp_path, f"{CRANE_BIRD}/a.png", f"{GOLDFISH}/b.png", f"{GOLDFISH}/c.png")
    found = read_folder("set", folder)
    assert dict(zip(found.ids, found.labels, strict=True)) == {
        f"{GOLDFISH}/b.png": 1, f"{GOLDFISH}/c.png": 1, f"{CRANE_BIRD}/a.png": 134,
    }  # fmt: skip
    assert any("labelled by their folders" in said for said in found.remarks)


@pytest.mark.parametrize("other", ["x.png", "tree/x.png", "n99999999/x.png"])
def test_folders_of_which_one_is_no_such_id_label_nothing(tmp_path, other):
    assert read_folder("set", photos(tmp_path, f"{GOLDFISH}/a.png", other)).labels is None


def test_folders_named_by_classes_label_their_images_where_asked(tmp_path):
    folder = photos(tmp_path, "goldfish/a.png", f"{CRANE_BIRD}/b.png", "17/c.png")
    assert read_folder("set", folder).labels is None
    found = read_folder("set", folder, labels="folders")
    assert sorted(zip(found.ids, found.labels, strict=True)) == [
        ("17/c.png", 17), ("goldfish/a.png", 1), (f"{CRANE_BIRD}/b.png", 134),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.png", "the folder of 'a.png': label ''"),
        ("crane/a.png", "the folder of 'crane/a.png': 'crane' names"),
    ],
)
def test_folders_that_say_no_class_are_refused(tmp_path, name, said):
    with pytest.raises(BadInput, match=said):
        read_folder("set", photos(tmp_path, name), labels="folders")


def test_a_csv_may_hold_ids_and_names(tmp_path):
    folder = photos(tmp_path, "a.png", "b.png", "c.png")
    file = tmp_path / "labels.csv"
    file.write_text(f"image;label\na;{GOLDFISH}\nb;great white shark\nc;5.0\n")
    assert read_folder("set", folder, labels=file).labels == (1, 2, 5)
    file.write_text("image,label\na,1\nb,crane\nc,5\n")
    with pytest.raises(BadInput, match=r"labels\.csv, line 3: 'crane' names"):
        read_folder("set", folder, labels=file)


def test_a_pattern_may_find_a_wordnet_id(tmp_path):
    folder = photos(tmp_path, f"{GOLDFISH}_10.png")
    assert read_folder("set", folder, label_pattern=r"(n\d+)_").labels == (1,)


def test_a_pattern_that_would_search_for_ever_is_refused(tmp_path):
    folder = photos(tmp_path, f"{'a' * 40}.png")
    with pytest.raises(BadInput, match=r"takes more than 1 s on .*write it without"):
        read_folder("set", folder, label_pattern=r"((a|aa)+)+!$")


def test_a_wrong_pattern_is_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"is no regular expression .*; correct it"):
        read_folder("set", photos(tmp_path, "a.png"), label_pattern="(")


def test_names_in_another_unicode_form_are_found(tmp_path):
    folder = photos(tmp_path, "cafe\u0301.png")
    file = tmp_path / "labels.csv"
    file.write_text("image,label\ncaf\u00e9.png,1\n")
    assert read_folder("set", folder, labels=file).labels == (1,)


def test_names_that_differ_in_their_unicode_form_alone_are_refused(tmp_path):
    folder = photos(tmp_path, "cafe\u0301.png", "caf\u00e9.png")
    file = tmp_path / "labels.csv"
    file.write_text("image,label\ncaf\u00e9.png,1\n")
    with pytest.raises(BadInput, match="composed in two ways: rename one"):
        read_folder("set", folder, labels=file)


def test_names_with_backslashes_or_a_dot_are_found(tmp_path):
    folder = photos(tmp_path, "a/b.png", "c.png")
    file = tmp_path / "labels.csv"
    file.write_text("image,label\na\\b.png,1\n./c.png,2\n")
    assert read_folder("set", folder, labels=file).labels == (1, 2)


def test_labels_in_python_are_held_to_the_same_rules(tmp_path):
    folder = photos(tmp_path, "a.png", "b.png")
    found = zoo_eval.images(folder, labels={"a": "goldfish", "b": 3}).images
    assert found.labels == (1, 3)
    for wrong in (-5, 10**26, "crane", 1.5):
        with pytest.raises(BadInput):
            zoo_eval.images(folder, labels={"a": wrong, "b": 3})
