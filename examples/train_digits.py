"""Trains the network of digits.py in plain NumPy and writes its weights and its held-out pictures.

    pip install "cnncc[train]" && python examples/train_digits.py

scikit-learn only provides the data. Every layer below knows its forward and its backward step; arrays are
(N, C, H, W) float32. The held-out part is looked at once, after the last step.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from digits import WEIGHTS, network
from sklearn.datasets import load_digits

from cnncc.interpreter import run

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Weights = dict[str, Array]

FOLDER = Path(__file__).with_suffix("").with_name("digits")
SEED, EPOCHS, BATCH, RATE, DECAY = 7, 60, 32, 2e-3, 0.05
HELD_OUT = 360


class Layer:
    """A step of the network; `gradients` are those of the last backward step, under the weights' names."""

    def __init__(self, name: str = ""):
        self.name = name
        self.gradients: Weights = {}

    def forward(self, x: Array, weights: Weights) -> Array:
        raise NotImplementedError

    def backward(self, grad: Array, weights: Weights) -> Array:
        raise NotImplementedError


class Conv(Layer):
    """A 3×3 convolution with padding 1, as a matrix product over the nine shifted pictures (im2col)."""

    def forward(self, x: Array, weights: Weights) -> Array:
        n, channels, height, width = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        self.columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels * 9)
        self.shape = x.shape
        result = self.columns @ weights[f"{self.name}.weights"].reshape(-1, channels * 9).T
        result += weights.get(f"{self.name}.bias", np.float32(0))
        return result.reshape(n, height, width, -1).transpose(0, 3, 1, 2)

    def backward(self, grad: Array, weights: Weights) -> Array:
        n, channels, height, width = self.shape
        rows = grad.transpose(0, 2, 3, 1).reshape(-1, grad.shape[1])
        kernel = weights[f"{self.name}.weights"]
        self.gradients = {f"{self.name}.weights": (rows.T @ self.columns).reshape(kernel.shape)}
        if f"{self.name}.bias" in weights:
            self.gradients[f"{self.name}.bias"] = rows.sum(axis=0)
        taps = (rows @ kernel.reshape(-1, channels * 9)).reshape(n, height, width, channels, 3, 3)
        padded = np.zeros((n, channels, height + 2, width + 2), np.float32)
        for y, x in np.ndindex(3, 3):
            padded[:, :, y : y + height, x : x + width] += taps[..., y, x].transpose(0, 3, 1, 2)
        return padded[:, :, 1:-1, 1:-1]


class BatchNorm(Layer):
    """Normalises with the statistics of the batch and keeps a running mean of them for inference."""

    momentum = np.float32(0.95)
    axes = (0, 2, 3)

    def forward(self, x: Array, weights: Weights) -> Array:
        mean, variance = x.mean(self.axes), x.var(self.axes)
        for role, seen in (("mean", mean), ("variance", variance)):
            key = f"{self.name}.{role}"
            weights[key] = self.momentum * weights[key] + (1 - self.momentum) * seen
        self.deviation = np.sqrt(variance + np.float32(1e-5)).reshape(1, -1, 1, 1)
        self.normal = (x - mean.reshape(1, -1, 1, 1)) / self.deviation
        scale, bias = (weights[f"{self.name}.{role}"].reshape(1, -1, 1, 1) for role in ("scale", "bias"))
        result: Array = self.normal * scale + bias
        return result

    def backward(self, grad: Array, weights: Weights) -> Array:
        scale_grad, bias_grad = (grad * self.normal).sum(self.axes), grad.sum(self.axes)
        self.gradients = {f"{self.name}.scale": scale_grad, f"{self.name}.bias": bias_grad}
        count = np.float32(grad.size / grad.shape[1])
        along = (bias_grad.reshape(1, -1, 1, 1) + self.normal * scale_grad.reshape(1, -1, 1, 1)) / count
        scale = weights[f"{self.name}.scale"].reshape(1, -1, 1, 1)
        result: Array = (grad - along) * scale / self.deviation
        return result


class Relu(Layer):
    def forward(self, x: Array, weights: Weights) -> Array:
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad: Array, weights: Weights) -> Array:
        return grad * self.mask


class MaxPool(Layer):
    """2×2; where several elements are the maximum, they share its gradient."""

    def forward(self, x: Array, weights: Weights) -> Array:
        n, channels, height, width = x.shape
        blocks = x.reshape(n, channels, height // 2, 2, width // 2, 2)
        result = blocks.max(axis=(3, 5), keepdims=True)
        self.mask = (blocks == result).astype(np.float32)
        self.mask /= self.mask.sum(axis=(3, 5), keepdims=True)
        pooled: Array = result[:, :, :, 0, :, 0]
        return pooled

    def backward(self, grad: Array, weights: Weights) -> Array:
        n, channels, height, width = grad.shape
        spread: Array = (self.mask * grad[:, :, :, None, :, None]).reshape(n, channels, 2 * height, 2 * width)
        return spread


class Flatten(Layer):
    def forward(self, x: Array, weights: Weights) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad: Array, weights: Weights) -> Array:
        return grad.reshape(self.shape)


class Dense(Layer):
    def forward(self, x: Array, weights: Weights) -> Array:
        self.x = x
        return x @ weights[f"{self.name}.weights"].T + weights[f"{self.name}.bias"]

    def backward(self, grad: Array, weights: Weights) -> Array:
        self.gradients = {f"{self.name}.weights": grad.T @ self.x, f"{self.name}.bias": grad.sum(axis=0)}
        return grad @ weights[f"{self.name}.weights"]


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


class Adam:
    """Adam with decoupled weight decay on the matrices and kernels."""

    def __init__(self) -> None:
        self.steps = 0
        self.means: Weights = {}
        self.squares: Weights = {}

    def step(self, weights: Weights, gradients: Weights, rate: float) -> None:
        self.steps += 1
        for name, grad in gradients.items():
            self.means[name] = mean = 0.9 * self.means.get(name, np.zeros_like(grad)) + 0.1 * grad
            self.squares[name] = square = 0.999 * self.squares.get(name, np.zeros_like(grad)) + 0.001 * grad**2
            step = mean / (1 - 0.9**self.steps) / (np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8)
            decay = DECAY * weights[name] if name.endswith(".weights") else 0.0
            weights[name] = (weights[name] - rate * (step + decay)).astype(np.float32)


def shifted(images: Array, random: np.random.Generator) -> Array:
    """Each picture moved by at most one pixel both ways, by chance."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    corners = random.choice(3, (len(images), 2), p=(0.2, 0.6, 0.2))
    return np.stack([p[:, y : y + 8, x : x + 8] for p, (y, x) in zip(padded, corners, strict=True)])


def train(images: Array, labels: Bytes, weights: Weights, random: np.random.Generator) -> None:
    """Improves `weights` in place."""
    layers = [
        Conv("conv1"),
        Relu(),
        MaxPool(),
        Conv("conv2"),
        BatchNorm("norm2"),
        Relu(),
        Flatten(),
        Dense("dense1"),
        Relu(),
        Dense("dense2"),
    ]
    optimiser = Adam()
    for epoch in range(EPOCHS):
        rate = RATE * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
        order = random.permutation(len(images))
        loss = 0.0
        for chosen in np.array_split(order, len(images) // BATCH):
            x = shifted(images[chosen], random)
            for layer in layers:
                x = layer.forward(x, weights)
            grad = softmax(x)
            loss -= float(np.log(grad[np.arange(len(chosen)), labels[chosen]] + 1e-9).sum())
            grad[np.arange(len(chosen)), labels[chosen]] -= 1
            grad /= np.float32(len(chosen))
            for layer in reversed(layers):
                grad = layer.backward(grad, weights)
            optimiser.step(weights, {name: g for layer in layers for name, g in layer.gradients.items()}, rate)
        print(f"epoch {epoch + 1:2}: loss {loss / len(images):.4f}")


def write_png(path: Path, picture: Bytes) -> None:
    """An 8-bit grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def main() -> None:
    random = np.random.default_rng(SEED)
    data = load_digits()
    pictures = np.rint(data.images * (255 / 16)).astype(np.uint8)  # the data have 17 grey levels, 0 to 16
    labels = data.target.astype(np.uint8)
    order = random.permutation(len(pictures))
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    images = (pictures[:, None] / 255).astype(np.float32)

    model = network(SEED)
    weights: Weights = dict(model.weights)
    train(images[kept], labels[kept], weights, random)
    model.assign(weights)

    (probabilities,) = run(model.graph, {"input": images[held]}).values()
    correct = int((probabilities.argmax(axis=1) == labels[held]).sum())
    print(f"held-out accuracy: {correct}/{HELD_OUT} = {correct / HELD_OUT:.2%}")

    model.save(WEIGHTS)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "held_out.npz", images=pictures[held], labels=labels[held])
    for digit in range(10):
        first = held[np.flatnonzero(labels[held] == digit)[0]]
        write_png(FOLDER / f"{digit}.png", pictures[first])


if __name__ == "__main__":
    main()
