"""Image files become 8-bit RGB by stated rules, or are refused in one line that names them."""

import numpy as np
import pytest
from PIL import Image

from zoo_eval.errors import BadInput
from zoo_eval.stimuli import decoding
from zoo_eval.stimuli.folder import Files, read_folder

RAMP = np.linspace(0, 65535, 60, dtype=np.uint16).reshape(6, 10)


def saved(folder, name, image, **options):
    image.save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_are_divided_by_257(tmp_path, name):
    path = saved(tmp_path, name, Image.fromarray(RAMP))
    (found,) = Files((path,))
    assert found.shape == (6, 10, 3)
    assert np.array_equal(found, np.repeat(np.rint(RAMP / 257).astype(np.uint8)[..., None], 3, 2))


def test_8_bits_saved_in_16_come_back(tmp_path):
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    path = saved(tmp_path, "a.png", Image.fromarray(grey * 257))
    assert np.array_equal(Files((path,))[0][..., 0], grey)


def test_big_endian_16_bits_are_read_as_what_they_are(tmp_path):
    image = Image.frombytes("I;16B", (10, 6), RAMP.astype(">u2").tobytes())
    path = saved(tmp_path, "a.tif", image)
    with Image.open(path) as opened:
        assert opened.mode == "I;16B"
    assert np.array_equal(Files((path,))[0][..., 0], np.rint(RAMP / 257))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.linspace(0, 1, 60, dtype=np.float32), "floats between 0 and 1"),
        (np.linspace(-5, 5, 60, dtype=np.float32), "floats between -5 and 5"),
        (np.arange(60, dtype=np.int32), "32-bit integers between 0 and 59"),
    ],
)
def test_values_without_a_stated_range_are_refused(tmp_path, values, said):
    path = saved(tmp_path, "a.tif", Image.fromarray(values.reshape(6, 10)))
    with pytest.raises(BadInput, match=rf"a\.tif: holds {said}, .* save it with 8 or 16 bits"):
        _ = Files((path,))[0]


def turned(folder, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    saved(folder, name, Image.fromarray(pixels), exif=exif)


# Where the first row and column of what is stored are to be shown (EXIF 2.32, tag 0x0112).
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_exif_turns_an_image_only_where_it_is_applied(tmp_path, name, orientation):
    turned(tmp_path, name, orientation)
    path = tmp_path / name
    ignored, applied = (Files((path,), exif)[0] for exif in ("ignore", "apply"))
    assert ignored.shape == (20, 30, 3)
    assert np.array_equal(applied, SHOWN[orientation](ignored))
    assert Files((path,), "apply").shapes == (applied.shape,)
    assert Files((path,)).shapes == (ignored.shape,)


@pytest.mark.parametrize("orientation", SHOWN)
def test_a_tiff_is_turned_by_pillow_once(tmp_path, orientation):
    turned(tmp_path, "a.tif", orientation)
    turned(tmp_path, "upright.png", 1)
    stored = Files((tmp_path / "upright.png",))[0]
    for exif in ("ignore", "apply"):
        files = Files((tmp_path / "a.tif",), exif)
        assert np.array_equal(files[0], SHOWN[orientation](stored))
        assert files.shapes == (files[0].shape,)
        assert files.remark(0) is None


def test_a_plan_counts_the_images_that_are_turned_or_not(tmp_path):
    for number, orientation in enumerate((1, 6, 3)):
        turned(tmp_path, f"{number}.jpg", orientation)
    ignored, applied = (read_folder("set", tmp_path, exif=exif) for exif in ("ignore", "apply"))
    assert len({ignored.digest, applied.digest}) == 2
    (line,) = ignored.remarks
    assert line.startswith("2 of 3 images have an EXIF orientation that is ignored")
    assert 'exif = "apply"' in line
    assert applied.remarks == ["2 of 3 images are turned as their EXIF orientation says"]
    # It is known the next time, too, when no image is opened.
    assert read_folder("set", tmp_path).remarks == [line]


def test_images_without_an_orientation_have_one_identity(tmp_path):
    turned(tmp_path, "a.jpg", 1)
    digests = {read_folder("set", tmp_path, exif=exif).digest for exif in ("ignore", "apply")}
    assert len(digests) == 1


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (POSTSCRIPT, "a PostScript document; save it as PNG"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; run `git lfs pull`"),
        (b"<!DOCTYPE html>", "an HTML page"),
        (b"\x89PNG\r\n\x1a\nnothing follows", "damaged or cut off"),
    ],
)
def test_what_is_no_image_is_named_with_what_it_is(tmp_path, monkeypatch, content, said):
    monkeypatch.setattr(
        "subprocess.check_call", lambda *_, **__: pytest.fail("a program was started")
    )
    (tmp_path / "a.png").write_bytes(content)
    for exif in ("ignore", "apply"):
        with pytest.raises(BadInput, match=rf"a\.png: cannot be decoded as an image: it is {said}"):
            _ = read_folder("set", tmp_path, exif=exif).digest


def test_a_png_whose_checksum_differs_is_damaged(tmp_path):
    path = saved(tmp_path, "a.png", Image.fromarray(RAMP.astype(np.uint8)))
    content = bytearray(path.read_bytes())
    # The checksum of the chunk of pixels, before the last chunk's 12 bytes.
    content[-13] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.png: cannot be decoded as an image: it is damaged"):
        _ = read_folder("set", tmp_path).digest


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr"])
def test_every_other_mode_is_converted_as_pillow_does(tmp_path, mode):
    image = (
        Image.new("RGB", (5, 4), (10, 200, 30)).convert("L").convert(mode)
        if mode in ("1", "LA", "PA")
        else Image.new("RGB", (5, 4), (10, 200, 30)).convert(mode)
    )
    assert np.array_equal(decoding.decoded(image), np.asarray(image.convert("RGB")))
