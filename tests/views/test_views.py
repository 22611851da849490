"""What models see of a set is made once on a machine, checked, and read ahead; whatever happens to it."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.planted_nets import noise, opened
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import joined
from zoo_eval.transforms import Transform
from zoo_eval.views import kept
from zoo_eval.views.kept import ViewFolder
from zoo_eval.views.views import Views

CPU = torch.device("cpu")
SQUARE = Transform(24, 27, "bicubic", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
FOLDER = ViewFolder(10**8)
N = 7


@pytest.fixture
def photos(tmp_path, decoded, monkeypatch):
    """Photos of noise of many sizes, of which nothing is decoded or kept yet."""
    monkeypatch.setenv("ZOO_EVAL_VIEWS", str(tmp_path / "views"))
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(N):
        pixels = rng.integers(0, 256, (30 + number, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    found = read_folder("photos", tmp_path / "photos").identified()
    decoded.clear()
    return found


def expected(stimuli, transform=SQUARE):
    return transform.view_images(list(stimuli.images), CPU)


def files():
    return sorted(kept.view_folder().glob("*"))


@pytest.mark.parametrize("folder", [FOLDER, ViewFolder(0)])
@pytest.mark.parametrize("resized", ["uint8", "float32"])
def test_they_are_what_the_transform_makes_of_the_images(photos, folder, resized):
    transform = replace(SQUARE, resized=resized)
    for _ in range(2):
        views = Views(photos, transform, CPU, folder)
        rows = [views[part] for part in ([0, 1, 2], [3], [4, 5, 6])]
        assert torch.equal(torch.cat(rows), expected(photos, transform))
    assert torch.equal(views[[5, 0]], expected(photos, transform)[[5, 0]])


def test_each_image_is_decoded_once_for_all_models_with_the_transform(photos, decoded):
    other = replace(SQUARE, mean=(0.1, 0.1, 0.1), std=(1.0, 1.0, 1.0))
    for transform in (SQUARE, SQUARE, other):
        _ = Views(photos, transform, CPU, FOLDER)[range(N)]
    assert sorted(decoded) == sorted(photos.ids)
    _ = Views(photos, SQUARE.at(20), CPU, FOLDER)[range(N)]
    assert len(decoded) == 2 * N
    assert len(files()) == 2


def test_a_set_that_nobody_identified_yet_is_identified_first(photos):
    fresh = read_folder("photos", photos.images.paths[0].parent)
    assert torch.equal(Views(fresh, SQUARE, CPU)[range(N)], expected(photos))


def test_rows_are_made_a_little_ahead_of_those_that_are_asked_for(photos, decoded):
    views = Views(photos, SQUARE, CPU)
    _ = views[[0]]
    for _ in range(1000):
        if len(decoded) == N:
            break
        time.sleep(0.01)
    # All of so few.
    assert len(decoded) == N
    assert torch.equal(views[range(N)], expected(photos))


def test_one_alone_is_made_alone(photos, decoded):
    views = Views(photos, SQUARE, CPU)
    found = views.alone(4)
    assert torch.equal(found, views[[4]])
    decoded.clear()
    _ = Views(photos, SQUARE, CPU).alone(2)
    time.sleep(0.1)
    assert decoded == [photos.ids[2]]


def test_without_room_they_are_made_each_time_and_nothing_is_kept(photos, decoded, monkeypatch):
    for folder in (ViewFolder(0), ViewFolder(N * 24 * 24 * 3)):
        decoded.clear()
        for _ in range(2):
            assert torch.equal(Views(photos, SQUARE, CPU, folder)[range(N)], expected(photos))
        assert files() == []
    # A disk that is full says so when a file is made, or when it is written.
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert torch.equal(Views(photos, SQUARE, CPU, FOLDER)[range(N)], expected(photos))
    assert files() == []


def test_a_disk_that_fills_up_while_they_are_written_costs_nothing_but_time(photos, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.os, "pwrite", no_space)
    views = Views(photos, SQUARE, CPU, FOLDER)
    assert torch.equal(views[range(N)], expected(photos))
    assert torch.equal(views[range(N)], expected(photos))


@pytest.mark.parametrize("damage", ["flipped", "cut off", "emptied", "table", "removed"])
def test_damaged_ones_are_made_anew(photos, decoded, damage):
    _ = Views(photos, SQUARE, CPU, FOLDER)[range(N)]
    (file,) = files()
    content = bytearray(file.read_bytes())
    decoded.clear()
    if damage == "flipped":
        content[-5] ^= 1
    elif damage == "cut off":
        content = content[: len(content) // 2]
    elif damage == "emptied":
        content = b""
    elif damage == "table":
        content[:8] = b"\xff" * 8
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(content)
    assert torch.equal(Views(photos, SQUARE, CPU, FOLDER)[range(N)], expected(photos))
    n_anew = len(decoded) - N  # `expected` decodes them all
    assert n_anew == 1 if damage in ("flipped", "table") else n_anew > 1
    decoded.clear()
    _ = Views(photos, SQUARE, CPU, FOLDER)[range(N)]
    assert decoded == []


def test_a_file_that_is_cut_off_while_it_is_read_is_no_harm(photos):
    views = Views(photos, SQUARE, CPU, FOLDER)
    _ = views[range(N)]
    (file,) = files()
    os.truncate(file, 100)
    assert torch.equal(views[range(N)], expected(photos))


def test_the_one_that_was_not_used_for_longest_makes_room(photos, monkeypatch):
    rooms = ViewFolder(2 * (N * (24 * 24 * 3 + 8)) + 100)
    one, two, three = (replace(SQUARE, resize_px=size) for size in (24, 25, 26))
    _ = Views(photos, one, CPU, rooms)[range(N)]
    (first,) = files()
    _ = Views(photos, two, CPU, rooms)[range(N)]
    # Both are in use: a third is not kept.
    _ = Views(photos, three, CPU, rooms)[range(N)]
    assert len(files()) == 2
    os.utime(first, (1, 1))
    # What never fits makes no room for itself.
    assert ViewFolder(rooms.budget_bytes // 3).kept("large", N, three.unseen) is None
    assert len(files()) == 2
    _ = Views(photos, three, CPU, rooms)[range(N)]
    assert first not in files()
    assert len(files()) == 2


def test_processes_at_the_same_time_make_each_row_once(photos, tmp_path):
    log = tmp_path / "decoded"
    code = f"""
import os, sys
from pathlib import Path
import torch
from zoo_eval.stimuli.folder import Files, read_folder
from zoo_eval.views.views import Views
from tests.views.test_views import FOLDER, N, SQUARE
real = Files.decode
def noting(files, number):
    with open({str(log)!r}, "a") as file:
        file.write(f"{{number}}\\n")
    return real(files, number)
Files.decode = noting
stimuli = read_folder("photos", Path({str(tmp_path / "photos")!r})).identified()
print(float(Views(stimuli, SQUARE, torch.device("cpu"), FOLDER)[range(N)].double().sum()))
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    sums = {process.communicate()[0] for process in started}
    assert sums == {f"{float(expected(photos).double().sum())}\n"}
    assert sorted(map(int, log.read_text().split())) == list(range(N))


def test_an_image_that_changed_since_it_was_planned_is_refused_whoever_sees_it(photos, tmp_path):
    Image.new("RGB", (50, 33), (1, 2, 3)).save(tmp_path / "photos" / "3.png")
    (tmp_path / "photos" / "4.png").write_bytes(b"no image")
    views = Views(photos, SQUARE, CPU, FOLDER)
    assert len(views[[0, 1, 2]]) == 3
    with pytest.raises(Refusal, match=r"'3\.png' of stimuli 'photos' changed since it was planned"):
        _ = views[[3]]
    with pytest.raises(BadInput, match=r"4\.png: cannot be decoded as an image"):
        _ = views[[4]]
    # The others are as good as before.
    others = [photos.images[number] for number in (5, 6)]
    assert torch.equal(views[[5, 6]], SQUARE.view_images(others, CPU))


def test_sets_that_are_joined_share_the_views_of_their_parts(photos, decoded):
    whole = joined(photos, noise(3, px=30))
    found = Views(whole, SQUARE, CPU, FOLDER)[range(N + 3)]
    assert torch.equal(found[:N], expected(photos))
    assert torch.equal(found[N:], expected(noise(3, px=30)))
    decoded.clear()
    _ = Views(photos, SQUARE, CPU, FOLDER)[range(N)]
    assert decoded == []


def test_a_model_sees_a_set_as_it_sees_its_images(photos):
    model = opened(torch.nn.Flatten(), input_px=8)
    assert torch.equal(model.predictions(photos), model.predict(list(photos.images)))
    model.batch_size = 2
    model._predictions.clear()
    assert torch.equal(model.predictions(photos), model.predict(list(photos.images)))
