"""Networks: larger images, and weights of torchvision that lie on this machine."""

import hashlib
import io

import pytest
import torch
from torchvision.models import get_model

import networks
from datasets.base import DataError
from runners.run_grid import main

STUDY = "study: s\naxes: {dataset: simulated, noise: clean, method: gce, seed: 1}\n"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of weights in torch's cache, its digits those of its content."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = get_model("resnet18", weights=None)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    digits = hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    file = folder / f"resnet18-{digits}.pth"
    file.write_bytes(buffer.getvalue())
    return file, model


def test_pretrained_weights_are_taken_with_a_new_last_layer(weights):
    file, model = weights
    network = networks.build("pretrained:resnet18", 3, 32, 5).eval()
    images = torch.randn(2, 3, 32, 32)
    model.fc = torch.nn.Identity()
    assert torch.equal(network.features(images), model.eval()(images))
    assert network(images).shape == (2, 5)
    assert networks.stamp("pretrained:resnet18") == file.name
    grey = networks.build("pretrained:resnet18", 1, 32, 5).eval()
    one = images[:, :1]
    assert torch.equal(grey.features(one), network.features(one.repeat(1, 3, 1, 1)))


def test_missing_damaged_and_ambiguous_weights_are_one_sentence(weights, tmp_path, capsys):
    file, _ = weights
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    line = [str(study), "--results", str(tmp_path), "--set", "protocol.network=pretrained:resnet50"]
    assert main([*line, "--plan"]) == 0  # also where the weights are on another machine
    capsys.readouterr()
    assert main(line) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "protocol.network: network pretrained:resnet50: its weights (resnet50-*.pth" in sentence
    assert "are not there" in sentence
    other = file.with_name("resnet18-00000000.pth")
    other.write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="has several: must be one of"):
        networks.stamp("pretrained:resnet18")
    with pytest.raises(DataError, match="is damaged"):
        networks.build("pretrained:resnet18-00000000", 3, 32, 5)


@pytest.mark.parametrize(("size", "side"), [(32, 4), (64, 2), (128, 4)])
def test_a_resnet_makes_large_images_smaller_at_once(size, side):
    body = networks.build("resnet18", 3, size, 4).body
    before_pooling = body[:-2]
    assert before_pooling(torch.zeros(2, 3, size, size)).shape == (2, 512, side, side)


def test_a_network_of_a_package_that_is_missing_is_one_sentence(monkeypatch):
    monkeypatch.setattr(networks, "NEEDED", {"inception_resnet_v2": "no_such_package"})
    sentence = "inception_resnet_v2 needs no_such_package, which is not installed: pip install"
    with pytest.raises(DataError, match=sentence):
        networks.stamp("inception_resnet_v2")
    assert networks.stamp("resnet50") == ""
