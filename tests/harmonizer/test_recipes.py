"""The recipes run as they are, with less of everything."""

from PIL import Image

from jobs import harmonize_demo, harmonize_photos, lambda_sweep
from zoo_eval.store import Store


def shortened(monkeypatch, module, name, *changes):
    text = getattr(module, name)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    monkeypatch.setattr(module, name, text)


def test_a_sweep_of_lambda_trains_one_control_and_draws_all(tmp_path, monkeypatch, capsys):
    small = {"train": (64, 0.05), "held_out": (12, 0.0), "misleading": (12, 1.0)}
    monkeypatch.setattr(harmonize_demo, "SETS", small)
    monkeypatch.setattr(harmonize_demo, "N_ATTACKED", 4)
    monkeypatch.setattr(lambda_sweep, "FOLDER", tmp_path / "lambdas")
    shortened(monkeypatch, harmonize_demo, "RUN", ("epochs = 24", "epochs = 1"))
    shortened(monkeypatch, harmonize_demo, "SWEEP", ("steps = 100", "steps = 5"))
    assert lambda_sweep.main((0.5, 4.0)) == 0
    said = capsys.readouterr().out.splitlines()
    table = said[said.index(next(one for one in said if "misled" in one)) + 1 :]
    assert [float(line.split()[0]) for line in table[:3]] == [0.0, 0.5, 4.0]
    drawn = (tmp_path / "lambdas" / "lambda_sweep.svg").read_text()
    for text in ("λ = 0", "λ = 0.5", "λ = 4", "Median smallest l2 attack"):
        assert text in drawn
    rows = Store(str(tmp_path / "lambdas" / "store")).read("training_runs").to_pylist()
    assert {row["model"]: row["control"] for row in rows} == {
        "harmonized/lambda_0": None,
        "harmonized/lambda_0.5": "harmonized/lambda_0",
        "harmonized/lambda_4": "harmonized/lambda_0",
    }


def test_crops_of_held_out_photos_are_of_no_photo_that_is_learned_from(tmp_path):
    for name in harmonize_photos.N_CROPS:
        harmonize_photos.write_crops(tmp_path, name, 30, 0)
    photos = {
        name: {path.name.split("_")[0] for path in (tmp_path / name).iterdir()}
        for name in harmonize_photos.N_CROPS
    }
    assert not photos["train"] & photos["held_out"]
    assert (len(photos["train"]), len(photos["held_out"])) == (14, 6)
    path = next((tmp_path / "train").iterdir())
    assert Image.open(path).size == (224, 224)


def test_real_weights_are_harmonized_on_crops_and_compared_with_their_control(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(harmonize_photos, "FOLDER", tmp_path / "photos")
    monkeypatch.setattr(harmonize_photos, "N_CROPS", {"train": 4, "held_out": 6})
    monkeypatch.setattr(harmonize_photos, "EPOCHS", 1)
    shortened(monkeypatch, harmonize_photos, "HARMONIZE", ("batch_size = 10", "batch_size = 4"))
    shortened(monkeypatch, harmonize_photos, "SWEEP", ("imagenet_*", "imagenet_00_*"))
    assert harmonize_photos.main() == 0
    said = capsys.readouterr().out
    assert "alignment with held-out planted maps: " in said
    assert "6 crops of photos not learned from" in said
    assert said.count("of 1 photos") == 3
