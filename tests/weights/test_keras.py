"""Keras' own networks: what Keras saves is read without it, and gives the logits that Keras gives."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import timm
import torch
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.networks import resnet_v2
from zoo_eval.weights import checkpoints, fitting, keras_layers

SIDE = 64
# Keras in a process of its own: what it sets of PyTorch would stay for other tests.
KERAS = """
import sys
import keras, numpy as np
folder, side = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
for name in ("VGG16", "ResNet50V2", "EfficientNetB0"):
    keras.utils.set_random_seed(0)
    shape = (side, side, 3)
    net = getattr(keras.applications, name)(weights=None, classifier_activation=None, input_shape=shape)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.get_weights()[0].shape
            layer.set_weights([rng.uniform(0.5, 1.5, n), *rng.normal(0, 0.1, (2, *n)), rng.uniform(0.5, 1.5, n)])
        elif layer.get_weights() and isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            if layer.use_bias:
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    images = rng.uniform(-1, 1, (2, *shape)).astype("float32")
    # Its first layer divides by 255.
    shown = images * 255 if name == "EfficientNetB0" else images
    logits = net.predict(shown, verbose=0)
    np.savez(f"{folder}/{name}.npz", images=images, logits=logits)
    net.save(f"{folder}/{name}.h5")
    net.save_weights(f"{folder}/{name}.weights.h5")
"""


def vgg16():
    """timm's, for images of 64 pixels: what sees all positions is as large as what is left of them."""
    net = timm.create_model("vgg16")
    net.pre_logits.fc1 = nn.Conv2d(512, 4096, SIDE // 32)
    net.pre_logits.input_kernel_size = SIDE // 32
    return net


NETWORKS = {
    "VGG16": (vgg16, "keras_vgg16"),
    "ResNet50V2": (resnet_v2.resnet50v2, "keras_resnet_v2"),
    "EfficientNetB0": (lambda: timm.create_model("tf_efficientnet_b0"), "keras_efficientnet"),
}
# What its first layers shift and scale pixels by: of the preprocessing, not of the network.
IGNORED = ("normalization/*",)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Each of Keras' networks with random weights, saved in two formats, with images and their logits."""
    folder = tmp_path_factory.mktemp("keras")
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", KERAS, str(folder), str(SIDE)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def loaded(path: Path, name: str) -> nn.Module:
    build, keys = NETWORKS[name]
    net = build().eval()
    state = fitting.fitted(checkpoints.chosen(path), net, path, keys, IGNORED)
    net.load_state_dict(state, strict=True)
    return net


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_keras(saved, name, suffix):
    known = np.load(saved / f"{name}.npz")
    net = loaded(saved / (name + suffix), name)
    with torch.no_grad():
        found = net(torch.from_numpy(known["images"]).permute(0, 3, 1, 2)).numpy()
    assert known["logits"].std() > 0.02  # real logits, not a constant
    assert np.abs(found - known["logits"]).max() < 1e-4 * max(1, np.abs(known["logits"]).max())


def test_such_a_file_is_the_checkpoint_of_a_model(saved):
    path = saved / "EfficientNetB0.h5"
    card = ModelCard(
        "local/b0", "local", "timm/tf_efficientnet_b0", checkpoint=path, keys="keras_efficientnet",
        ignore=IGNORED,
    )  # fmt: skip
    assert blueprint(card).anatomy.n_classes == 1000
    resnet = ModelCard(
        "local/r", "local", "factory/zoo_eval.networks.resnet_v2:resnet50v2",
        checkpoint=saved / "ResNet50V2.weights.h5", keys="keras_resnet_v2",
        transform=blueprint(card).transform,
    )  # fmt: skip
    assert sum(map(len, blueprint(resnet).anatomy.stages)) == 3 + 4 + 6 + 3


def test_weights_of_another_network_are_refused_by_their_layers(saved):
    net = resnet_v2.resnet50v2()
    path = saved / "EfficientNetB0.h5"
    with pytest.raises(Refusal, match=r"missing \(first: stem\.weight.*unexpected \(first: "):
        fitting.fitted(checkpoints.chosen(path), net, path, "keras_resnet_v2")
    # Its preprocessing is named, and left out only where that is said.
    net = timm.create_model("tf_efficientnet_b0")
    with pytest.raises(Refusal, match=r"3 unexpected \(first: normalization/.*ignore = "):
        fitting.fitted(checkpoints.chosen(path), net, path, "keras_efficientnet")


@pytest.mark.parametrize("kept", [9, 100, 0.3, 0.999])
def test_a_truncated_file_is_refused(saved, tmp_path, kept):
    content = (saved / "EfficientNetB0.h5").read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(Refusal, match=r"cut\.h5 is damaged.*cut off; fetch it again") as error:
        checkpoints.read(cut)
    assert "\n" not in str(error.value)


def layer(path: Path):
    file = h5py.File(path, "w")
    return file, file.create_group("model_weights/conv/conv")


def external_link(path):
    file, group = layer(path)
    group["kernel:0"] = h5py.ExternalLink("/etc/passwd", "x")
    file.close()


def soft_link(path):
    file, group = layer(path)
    group["kernel:0"] = h5py.SoftLink("/model_weights")
    file.close()


def external_storage(path):
    file, group = layer(path)
    group.create_dataset("kernel:0", (4,), "f4", external=[("/etc/hostname", 0, 16)])
    file.close()


def virtual(path):
    file, group = layer(path)
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    group.create_virtual_dataset("kernel:0", layout)
    file.close()


def enormous(path):
    file, group = layer(path)
    group.create_dataset("kernel:0", (2**40,), "f4", chunks=(2**20,))
    file.close()


def bomb(path):
    file, group = layer(path)
    group.create_dataset("kernel:0", data=np.zeros(2**22, "f4"), compression="gzip")
    file.close()


def endless(path):
    file, group = layer(path)
    group["inner"] = file["model_weights"]
    file.close()


def text(path):
    file, group = layer(path)
    group["kernel:0"] = "no number"
    file.close()


def empty(path):
    h5py.File(path, "w").close()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (external_link, "refers to what is kept elsewhere"),
        (soft_link, "refers to what is kept elsewhere"),
        (external_storage, "is kept in another file"),
        (virtual, "is kept in another file"),
        (enormous, "says more numbers than the file holds"),
        (bomb, "says more numbers than the file holds"),
        (endless, "groups within each other without end"),
        (text, "no numbers"),
        (empty, "holds no weights of Keras"),
    ],
)
def test_a_hostile_file_is_refused_on_one_line(tmp_path, write, said):
    path = tmp_path / "w.h5"
    write(path)
    with pytest.raises(Refusal, match=said) as error:
        checkpoints.read(path)
    assert "\n" not in str(error.value)


def test_a_name_of_keras_2_and_of_keras_3_are_the_same_layer():
    net = nn.Module()
    net.conv = nn.Conv2d(6, 6, 3, groups=6, bias=False)
    kernel = torch.rand(3, 3, 6, 1)
    for name in ("a/depthwise_kernel", "a/kernel", "depthwise_conv2d/0"):
        one = keras_layers.Layer("a", "depthwise_conv2d", "conv")
        found = keras_layers.mapped({name: kernel}, iter([one]), net)
        assert torch.equal(found["conv.weight"], kernel.permute(2, 3, 0, 1))
