"""Forty modules as people write them: blocks of vision networks, heads, attention, and odd uses of tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Make = Callable[[], nn.Module]
Case = tuple[Make, tuple[tuple[int, ...], ...]]


class Of(nn.Module):
    """A module of a function over tensors, with layers that it may use."""

    def __init__(self, function: Callable[..., object], **layers: nn.Module):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *tensors: Tensor) -> object:
        return self.function(self, *tensors)


def conv_norm(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: Make = nn.ReLU
) -> nn.Module:
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), act())


class Bottleneck(nn.Module):
    """ResNet's."""

    def __init__(self, channels: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(channels, 4, 1), conv_norm(4, 4, 3, stride), nn.Conv2d(4, 16, 1, bias=False), nn.BatchNorm2d(16)
        )
        self.down = nn.Sequential(nn.Conv2d(channels, 16, 1, stride, bias=False), nn.BatchNorm2d(16))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.down(x))


class InvertedResidual(nn.Module):
    """MobileNet's, with squeeze and excitation."""

    def __init__(self, channels: int, act: Make):
        super().__init__()
        self.expand = conv_norm(channels, 4 * channels, 1, act=act)
        self.depth = conv_norm(4 * channels, 4 * channels, 3, groups=4 * channels, act=act)
        self.squeeze, self.excite = nn.Conv2d(4 * channels, channels, 1), nn.Conv2d(channels, 4 * channels, 1)
        self.project = nn.Sequential(nn.Conv2d(4 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.expand(x))
        scale = F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))
        result: Tensor = x + self.project(y * F.hardsigmoid(self.excite(scale)))
        return result


class Shuffle(nn.Module):
    """ShuffleNet's: a split, a branch, a shuffle of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_norm(4, 4, 1), conv_norm(4, 4, 3, groups=4, act=nn.Identity))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=1)
        y = torch.cat([a, self.branch(b)], dim=1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Attention(nn.Module):
    """Heads over tokens, written out."""

    def __init__(self, width: int = 12, heads: int = 3):
        super().__init__()
        self.heads, self.all, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.all(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        result: Tensor = self.out((weights @ v).transpose(1, 2).reshape(n, t, c))
        return result


class Patches(nn.Module):
    """A small vision transformer: patches, a class token, positions, a block."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.token = nn.Conv2d(3, 12, 4, 4), nn.Parameter(torch.randn(1, 1, 12))
        self.place, self.attend = nn.Parameter(torch.randn(1, 5, 12)), Attention()
        self.one, self.two = nn.LayerNorm(12), nn.LayerNorm(12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], dim=1) + self.place
        tokens = tokens + self.attend(self.one(tokens))
        result: Tensor = (tokens + self.mlp(self.two(tokens)))[:, 0]
        return result


class SPPF(nn.Module):
    """YOLO's pools of pools."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.pool, self.b = (
            conv_norm(4, 4, 1, act=nn.SiLU),
            nn.MaxPool2d(5, 1, 2),
            conv_norm(16, 4, 1, act=nn.SiLU),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        result: Tensor = self.b(torch.cat([x, y, z, self.pool(z)], 1))
        return result


class UNet(nn.Module):
    """A level down and up again, with a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid = conv_norm(3, 4), conv_norm(4, 8)
        self.up, self.end = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(x)
        y = self.up(self.mid(F.max_pool2d(skip, 2)))
        return torch.sigmoid(self.end(torch.cat([skip, y], 1)))


class ConvNeXt(nn.Module):
    """Depthwise 7×7, a norm over channels, a scaled residual."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.norm = nn.Conv2d(6, 6, 7, padding=3, groups=6), nn.LayerNorm(6)
        self.one, self.two, self.scale = nn.Linear(6, 24), nn.Linear(24, 6), nn.Parameter(torch.full((6,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.scale * self.two(F.gelu(self.one(y)))
        result: Tensor = x + y.permute(0, 3, 1, 2)
        return result


class Dilated(nn.Module):
    """ASPP: parallel dilations and a picture's mean, resized."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.ModuleList(nn.Conv2d(3, 4, 3, padding=r, dilation=r) for r in (1, 2, 3))
        self.mean, self.end = nn.Conv2d(3, 4, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(x.mean((2, 3), keepdim=True))
        wide = F.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=False)
        result: Tensor = self.end(torch.cat([*(rate(x) for rate in self.rates), wide], 1))
        return result


PICTURE = ((1, 3, 8, 8),)

CASES: dict[str, Case] = {
    "lenet": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 8, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8, 10),
            nn.Softmax(1),
        ),
        ((1, 1, 12, 12),),
    ),
    "vgg": (
        lambda: nn.Sequential(conv_norm(3, 8), conv_norm(8, 8), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 5)),
        PICTURE,
    ),
    "bottleneck": (lambda: Bottleneck(8), ((1, 8, 7, 7),)),
    "bottleneck, stride 2": (lambda: Bottleneck(8, 2), ((2, 8, 7, 7),)),
    "inverted residual": (lambda: InvertedResidual(4, nn.ReLU6), ((1, 4, 7, 7),)),
    "inverted residual, hard swish": (lambda: InvertedResidual(4, nn.Hardswish), ((1, 4, 8, 8),)),
    "shuffle": (Shuffle, ((1, 8, 6, 6),)),
    "attention": (Attention, ((1, 7, 12),)),
    "transformer on patches": (Patches, PICTURE),
    "multi-head attention": (
        lambda: Of(
            lambda m, x: m.attend(x, x, x, need_weights=False)[0], attend=nn.MultiheadAttention(8, 2, batch_first=True)
        ),
        ((1, 5, 8),),
    ),
    "scaled dot products": (
        lambda: Of(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v)),
        ((1, 2, 5, 4),) * 3,
    ),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), ((1, 5, 8),)),
    "pools of pools": (SPPF, ((1, 4, 9, 9),)),
    "u-net": (UNet, PICTURE),
    "convnext": (ConvNeXt, ((1, 6, 9, 9),)),
    "dilated": (Dilated, ((1, 3, 9, 9),)),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.SiLU()), PICTURE),
    "instance norm": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.Mish()), PICTURE),
    "layer norm over pictures": (lambda: nn.LayerNorm((3, 8, 8)), PICTURE),
    "rms norm": (lambda: nn.RMSNorm(12), ((1, 5, 12),)),
    "local response": (lambda: nn.LocalResponseNorm(3), ((1, 6, 5, 5),)),
    "one dimension": (
        lambda: nn.Sequential(nn.Conv1d(4, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ELU(), nn.MaxPool1d(2)),
        ((1, 4, 21),),
    ),
    "three dimensions": (
        lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.LeakyReLU(0.1), nn.AvgPool3d(2)),
        ((1, 2, 4, 6, 6),),
    ),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 4, 2, 1, output_padding=1, groups=1), ((1, 4, 5, 5),)),
    "transposed, groups": (lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1, groups=2, dilation=1), ((1, 4, 5, 5),)),
    "reflected padding": (lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 4, 5)), PICTURE),
    "circular padding": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), PICTURE),
    "replicated padding": (lambda: nn.Conv2d(3, 4, 3, padding=2, padding_mode="replicate"), PICTURE),
    "nearest": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3)), PICTURE),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), PICTURE),
    "bicubic": (lambda: nn.Upsample(size=(13, 11), mode="bicubic"), PICTURE),
    "pixel shuffle": (
        lambda: nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
        PICTURE,
    ),
    "adaptive pools": (lambda: Of(lambda m, x: (F.adaptive_avg_pool2d(x, 4), F.adaptive_max_pool2d(x, 1))), PICTURE),
    "ceiling": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), ((1, 3, 8, 8),)),
    "activations": (
        lambda: Of(lambda m, x: F.softplus(x) + F.softsign(x) * F.selu(x) - F.celu(x) + F.relu6(x) + F.logsigmoid(x)),
        PICTURE,
    ),
    "channel slopes": (lambda: nn.Sequential(nn.Conv2d(3, 6, 1), nn.PReLU(6)), PICTURE),
    "two inputs": (lambda: nn.Bilinear(3, 4, 5), ((2, 3), (2, 4))),
    "gate": (lambda: Of(lambda m, x: F.glu(m.c(x), 1), c=nn.Conv2d(3, 8, 1)), PICTURE),
    "einsum": (lambda: Of(lambda m, x, y: torch.einsum("nchw,ncd->ndhw", x, y)), ((2, 3, 4, 5), (2, 3, 6))),
    "slices and stacks": (
        lambda: Of(lambda m, x: torch.stack([x[:, 0], x[:, 1:].amax(1), x.mean(1)], 1)[..., ::2].clamp(-1, 1)),
        PICTURE,
    ),
    "norms by hand": (
        lambda: Of(lambda m, x: F.normalize(x, dim=1) * x.std((2, 3), keepdim=True) + x.var(1, keepdim=True)),
        PICTURE,
    ),
    "choices": (lambda: Of(lambda m, x: torch.where(x > 0, x, x.exp() - 1) * (x.abs() < 1).float()), PICTURE),
    "largest and where": (lambda: Of(lambda m, x: (x.argmax(1), x.topk(2, 1).values, x.cumsum(1))), ((1, 9),)),
    "embedding": (lambda: nn.Sequential(nn.Linear(6, 4), nn.Flatten(0), nn.Unflatten(0, (2, 2))), ((1, 6),)),
}
