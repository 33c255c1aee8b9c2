"""Frames of cameras in front of a PyTorch module, against its own resize."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.tools

import cnncc  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(31, 40), None])
@pytest.mark.filterwarnings("ignore:model .* was compiled for:UserWarning")
def test_frames(size: tuple[int, int] | None, antialias: bool) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(1120, 5)
    module = torch.nn.Sequential(*layers)
    image = cnncc.Image(size, order="BGR", resize=(12, 16), antialias=antialias, mean=MEAN, std=STD)
    model = cnncc.compile(module, torch.zeros(1, 3, 12, 16), inputs={"input": image}, cache=False)
    frames = torch.randint(0, 256, (2, 31, 40, 3), dtype=torch.uint8)
    planes = frames.flip(-1).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        x = torch.nn.functional.interpolate(planes, (12, 16), mode="bilinear", antialias=antialias)
        expected = module((x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    assert (torch.from_numpy(model(frames)) - expected).abs().max() < 1e-5
    assert (torch.from_numpy(model(frames[1])) - expected[1:]).abs().max() < 1e-5
