"""Facts join cards by exact name; an accuracy measured at another size says so."""

import pytest

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput
from zoo_eval.sweep import facts
from zoo_eval.transforms import Transform

# The first lines of timm's own file as it is, with its thousands comma, and two sizes of one model.
TIMM = """model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation
eva_giant_patch14_336.clip_ft_in1k,336,89.466,10.534,98.824,1.176,"1,013.01",1.000,bicubic
resnet50.a1_in1k,288,81.214,18.786,95.102,4.898,25.56,1.000,bicubic
resnet50.a1_in1k,224,80.222,19.778,94.598,5.402,25.56,0.950,bicubic
"""
OPEN_CLIP = """name,pretrained,params (M),FLOPs (B),Average perf. on 38 datasets,ImageNet 1k
ViT-B-32,laion2b_s34b_b79k,151.28,14.78,0.5651,0.6656
"""
RESNET = ModelCard("timm/resnet50.a1_in1k", "timm", "timm/resnet50.a1_in1k", family="resnet")


def sheet(tmp_path, text):
    path = tmp_path / "facts.csv"
    path.write_text(text)
    return facts.read(path)


def view(input_px, resize_px):
    return lambda: Transform(input_px, resize_px, "bicubic", (0.5,) * 3, (0.5,) * 3)


def never():
    raise AssertionError("not asked for")


def test_the_accuracy_at_the_models_own_size_and_crop_is_taken(tmp_path):
    sheets = [sheet(tmp_path, TIMM)]
    card = facts.joined(RESNET, sheets, view(224, 235))
    assert (card.published_top1, card.published_view) == (0.80222, None)


def test_an_accuracy_at_another_size_or_crop_says_which(tmp_path):
    card = facts.joined(RESNET, [sheet(tmp_path, TIMM)], view(224, 256))
    assert (card.published_top1, card.published_view) == (0.81214, "288 px of 288")


def test_open_clips_file_is_known_by_its_header(tmp_path):
    card = ModelCard("open_clip/ViT-B-32:laion2b_s34b_b79k", "open_clip", "open_clip/x")
    found = facts.joined(card, [sheet(tmp_path, OPEN_CLIP)], never)
    assert (found.published_top1, found.published_view) == (0.6656, None)


def test_own_facts_fill_what_the_card_lacks_and_empty_cells_nothing(tmp_path):
    text = "model,year,objective,licence,published_top1\ntimm/resnet50.a1_in1k,2021,supervised,,\n"
    card = facts.joined(RESNET, [sheet(tmp_path, text)], never)
    assert (card.year, card.objective, card.licence, card.published_top1) == (2021, "supervised", None, None)  # fmt: skip


def test_an_own_model_keeps_what_its_section_says(tmp_path):
    own = ModelCard("local/m", "local", "timm/resnet18", published_top1=0.7, year=2020)
    text = "model,year,published_top1\nlocal/m,2021,0.8\n"
    card = facts.joined(own, [sheet(tmp_path, text)], never)
    assert (card.year, card.published_top1) == (2020, 0.7)


def test_names_are_matched_exactly_and_the_share_is_said(tmp_path):
    found = sheet(tmp_path, TIMM)
    other = ModelCard("timm/resnet50.a2_in1k", "timm", "timm/resnet50.a2_in1k")
    assert facts.joined(other, [found], never) == other
    assert found.matched([RESNET, other]) == "facts.csv: facts for 1 of 2 models (50%)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,year\nx,2020\n", "no column `model`; its columns are name, year"),
        ("model,yaer\nx,2020\n", "unknown column 'yaer'; nearest: year"),
        ("model,year\nx,2020\ny,soon\n", "line 3: year 'soon' is no number"),
        ("model,published_top1\nx,80.2\n", "line 2: 80.2 is no share between 0 and 1"),
        ("model,year\nx,2020\nx,2021\n", "line 3: x is there twice; remove one"),
        (TIMM.replace("81.214", "n/a"), "line 3: top1 'n/a' is no number"),
        (TIMM + TIMM.splitlines()[2] + "\n", "line 5: timm/resnet50.a1_in1k is there twice"),
        ("", "is empty; write a header and a row each"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path, text, said):
    with pytest.raises(BadInput, match=said) as error:
        sheet(tmp_path, text)
    assert "\n" not in str(error.value)


def test_an_absent_file_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        facts.read(tmp_path / "none.csv")
