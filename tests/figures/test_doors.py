"""The two ways to figures: the command writes them, Python shows and saves them."""

import json
import stat

import altair
import pytest

import zoo_eval
from zoo_eval.cli import main
from zoo_eval.errors import BadInput
from zoo_eval.store import Store

NEURAL = "accuracy-vs-neural-it-pls"


def test_the_command_writes_a_file_a_format_and_says_so(store, tmp_path, capsys):
    out = tmp_path / "made" / "here"
    arguments = ["figures", NEURAL, "tolerance*", "--store", store.uri, "--out", str(out)]
    assert main([*arguments, "--format", "svg,csv", "--columns", "two"]) == 0
    said = capsys.readouterr().out.splitlines()
    names = [
        f"{name}.{form}" for name in (NEURAL, "tolerance-vs-alignment") for form in ("svg", "csv")
    ]
    assert [line.split(": ")[0] for line in said] == [str(out / name) for name in names]
    assert {path.name for path in out.iterdir()} == set(names)
    for path in out.iterdir():
        # For their owner and group, as everything that is written.
        assert not stat.S_IMODE(path.stat().st_mode) & 0o007


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["accuracy-vs-neural-it"], f"no figure 'accuracy-vs-neural-it' here; nearest: {NEURAL}"),
        (["--format", "svg,jpg"], "--format has no 'jpg'"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(store, tmp_path, capsys, more, said):
    arguments = ["figures", *more, "--store", store.uri, "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_said(store, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    arguments = ["figures", NEURAL, "--store", store.uri, "--format", "csv"]
    assert main([*arguments, "--out", str(tmp_path / "file" / "out")]) == 2
    assert "correct --out" in capsys.readouterr().err


def test_an_empty_store_says_what_to_run(tmp_path, capsys):
    empty = Store(str(tmp_path / "empty"), create=True)
    assert main(["figures", "--store", empty.uri, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "nothing to draw yet" in error
    assert "zoo-eval sweep" in error
    assert len(error.splitlines()) == 1
    assert "no figures yet" in repr(zoo_eval.open(empty.uri).figures())


@pytest.fixture(scope="module")
def drawings(store):
    return zoo_eval.open(store.uri).figures()


def test_python_finds_the_same_figures(drawings, drawn, store):
    names = [one.name for one in drawings]
    assert names == [*drawn, "gallery", "spatial-maps-v4"]
    assert len(drawings) == len(names)
    assert repr(drawings).splitlines()[0] == f"{NEURAL}: {drawn[NEURAL].title}"
    assert zoo_eval.open(store.uri).figure(NEURAL).figure.data == drawn[NEURAL].data
    with pytest.raises(BadInput, match=f"nearest: {NEURAL}"):
        drawings["accuracy-vs-neural"]


def test_a_notebook_is_given_a_specification_and_a_picture(drawings, drawn):
    data, metadata = drawings[NEURAL]._repr_mimebundle_()
    assert (
        data["application/vnd.vegalite.v6+json"]["datasets"]["points"]
        == drawn[NEURAL].data["points"]
    )
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == 680
    assert data["text/plain"].startswith(f"Drawn({NEURAL}: ")
    assert json.dumps(data["application/vnd.vegalite.v6+json"], allow_nan=False)


def test_a_figure_saves_itself_and_is_an_altair_chart(drawings, tmp_path):
    path = drawings[NEURAL].save(tmp_path / "new" / "a.svg", columns="two")
    assert path.read_bytes().startswith(b"<svg")
    with pytest.raises(BadInput, match=r"no format 'jpg' of a\.jpg"):
        drawings[NEURAL].save(tmp_path / "a.jpg")
    assert isinstance(drawings[NEURAL].altair, altair.LayerChart)
