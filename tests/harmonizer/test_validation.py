"""Top-1 and agreement with human maps, against SciPy and a gradient by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.harmonizer.conftest import tiny
from zoo_eval.harmonizer.peers import Peers


def test_it_is_what_scipy_finds(material):
    known = material()
    net, transform = tiny()
    with torch.no_grad():
        net[5].bias[0] = 5.0
    found = known.validation.of_network(net.eval(), torch.device("cpu"), Peers())
    seen, maps = known.inputs.stimuli["seen"], known.inputs.importance["marks"].maps
    own, null, right = [], [], 0
    for number, label in enumerate(seen.labels):
        pixels = torch.tensor(seen.images[number]).permute(2, 0, 1)[None] / 255
        shown = pixels.clone().requires_grad_()
        logits = net(transform.normalise(shown))
        (gradient,) = torch.autograd.grad(logits[0, label], shown)
        saliency = gradient[0].abs().amax(0).ravel()
        own.append(spearmanr(saliency, maps[number].ravel()).statistic)
        null.append(spearmanr(saliency, maps[(number + 1) % len(seen)].ravel()).statistic)
        right += int(logits.argmax() == label)
    assert found["top1"] == right / len(seen) == 0.25
    assert found["alignment"] == pytest.approx(np.mean(own), abs=1e-6)
    assert found["alignment_null"] == pytest.approx(np.mean(null), abs=1e-6)


def test_workers_find_together_what_one_finds(material, monkeypatch):
    known, (net, _) = material(), tiny()
    whole = known.validation.of_network(net.eval(), torch.device("cpu"), Peers())
    parts = []
    monkeypatch.setattr(Peers, "total", lambda self, values: parts.append(values) or values)
    for rank in (0, 1, 2):
        known.validation.of_network(net, torch.device("cpu"), Peers(rank, 3))
    right, own, _, n, _ = sum(parts).tolist()
    assert right / len(known.validation.stimuli) == whole["top1"]
    assert own / n == pytest.approx(whole["alignment"], rel=1e-9)
