"""Products by oneDNN are torch's own to rounding, and the model is as before afterwards."""

import pytest
import torch
from torch import nn

from companion.speed import onednn as module
from companion.speed.onednn import by_onednn


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = [
        nn.Linear(24, 40),
        nn.Linear(24, 40, bias=False),
        nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4), bias=False),
    ]
    return nn.ModuleList([*layers, nn.Conv3d(1, 2, (1, 2, 2)), nn.Linear(24, 40, dtype=torch.bfloat16)])


def inputs_of(model, rows):
    vectors, patches = torch.randn(rows, 3, 24), torch.randn(rows, 3, 2, 4, 4)
    return [vectors, vectors, patches, torch.randn(1, 1, 2, 4, 4), vectors.bfloat16()]


@pytest.mark.parametrize("rows", [1, 40])
def test_products_are_the_same_to_rounding(model, rows) -> None:
    given = inputs_of(model, rows)
    with torch.inference_mode():
        plain = [layer(x) for layer, x in zip(model, given, strict=True)]
        with by_onednn(model):
            ours = [layer(x) for layer, x in zip(model, given, strict=True)]
            taken = ["forward" in vars(layer) for layer in model]
    for found, expected in zip(ours, plain, strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert taken == [True, True, True, False, False]
    assert not any("forward" in vars(layer) for layer in model)


def test_a_convolution_over_a_larger_input_is_left_to_torch(model) -> None:
    image = torch.randn(2, 3, 4, 8, 8)
    with by_onednn(model), torch.inference_mode():
        assert torch.equal(model[2](image), nn.Conv3d.forward(model[2], image))


def test_a_larger_model_is_left_as_it_is(model, monkeypatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 100)
    monkeypatch.setattr(module, "_forward_of", lambda layer: pytest.fail("its weights would be held twice"))
    with by_onednn(model):
        assert not any("forward" in vars(layer) for layer in model)
