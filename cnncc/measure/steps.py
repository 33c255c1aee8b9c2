"""A training step in PyTorch, in turns with that of cnncc: the same network, weights, data, loss and updates.

Each engine runs in a process of its own, as in `peers`. PyTorch runs eager, with both of its memory orders of pictures.
Before anything is timed, the loss and all gradients of the first step have to agree: both do the same work.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..batching import with_images
from ..errors import PeerError
from ..ir import Graph
from ..learning.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquares
from ..learning.net import Net
from ..learning.optimisers import SGD, AdamW, Optimiser
from ..learning.recipe import Recipe
from ..learning.step import Step
from ..learning.training import Training, predicted
from ..types import Array
from .peers import OURS, Child, Loaded, PeerTiming, main, timed
from .torch_network import Tensor, TorchNetwork

PEERS = {"torch": ("torch", "torch channels last")}
"""For each engine the ways in which it runs."""
TASK = "task.pickle"
CLOSE_LOSS, CLOSE = 1e-4, 2e-2
"""How far the loss, and gradients, may lie apart: the norm of the difference, of the norm of each.

Where rounding moves one of half a million numbers over 0, a ReLU takes the other branch. That moves the gradients of
its channel, and a little all gradients before it: in a residual network with 32 images by up to 0.8 % of the largest
element, where PyTorch's two memory orders differ by as much; with 64, where three numbers of one layer were on the
other side, by 4.7 % of the largest element in their three channels, and the norm by 1.0 %.
"""
SMALL = 1e-3
"""What an array's elements count at least beside the largest of all gradients: a bias before batch norm has nothing
but rounding."""


@dataclass(frozen=True)
class Task:
    """A step of a network: `feeds` are what its inputs hold, `options` keywords of `cnncc.compile`."""

    network: Graph
    recipe: Recipe
    feeds: Mapping[str, Array]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """In place of an optimiser: no parameter changes, and the gradients stay as states."""

    rate: float = 1.0

    def prepare(self, net: Net) -> tuple[Any, ...]:
        return ()

    def update(self, net: Net, name: str, weights: Any, gradient: Any, rate: Any, shared: tuple[Any, ...]) -> None:
        net.update(net.state(f"{name}.gradient", net.shape(weights)), gradient)


def compare(task: Task, engines: Sequence[str], threads: Sequence[int], seconds: float) -> list[PeerTiming]:
    """Time a step of cnncc and of each engine, for `seconds` with each number of threads.

    Raises PeerError for a network that an engine has not, and for one whose first step is another one.
    """
    names = (OURS, *(way for engine in engines for way in PEERS[engine]))
    timings: list[PeerTiming] = []
    for count in threads:
        with tempfile.TemporaryDirectory(prefix="cnncc-steps-") as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            (folder / TASK).write_bytes(pickle.dumps(task))
            children = [stack.enter_context(Child(each, TASK, count, folder, __name__)) for each in names]
            for child in children:
                child.begin()
                expect_same_step(child, children[0].outputs())
            timings += timed(children, seconds)
    return timings


def expect_same_step(child: Child, ours: Sequence[Array]) -> None:
    """Raise PeerError unless the loss and the gradients of the first step are ours."""
    least = SMALL * max(float(np.abs(array).max()) for array in ours[1:])
    for number, (own, other) in enumerate(zip(ours, child.outputs(), strict=True)):
        size = max(float(np.linalg.norm(own)), least * math.sqrt(own.size) if number else 0.0)
        apart = float(np.linalg.norm(own - other)) / (size or 1.0)
        if not apart <= (CLOSE if number else CLOSE_LOSS):
            what = f"gradient {number}" if number else "the loss"
            raise PeerError(f"engine '{child.engine}' computes another step: {what} is {apart:.1e} of its size apart")


def load(engine: str, model: str, threads: int, folder: Path) -> Loaded:
    """A step in the process of an engine; what it made first is kept."""
    # Written by the parent process, into a folder that only this user can read.
    task: Task = pickle.loads((folder / model).read_bytes())
    return ours(task, threads) if engine == OURS else in_torch(task, threads, channels_last="last" in engine)


def ours(task: Task, threads: int) -> Loaded:
    recipe = task.recipe
    first, names = _bound(task, replace(recipe, optimiser=Kept()), threads)
    first()
    found = [np.array(names["loss"]), *(array.copy() for name, array in names.items() if name.endswith(".gradient"))]
    run, _ = _bound(task, recipe, threads)
    return run, lambda: found


def _bound(task: Task, recipe: Recipe, threads: int) -> tuple[Callable[[], Any], Mapping[str, Array]]:
    """A step on the task's inputs, and its loss and states by name."""
    step = Step(task.network, **vars(recipe), threads=threads, **task.options)
    results = {port.name: np.empty(port.shape, np.float32) for port in step.model.outputs}
    inputs = {name: task.feeds[name] for name in step.training.graph.inputs}
    return step.model.bind(inputs, out=results), {**step.model.state, **results}


def in_torch(task: Task, threads: int, *, channels_last: bool) -> Loaded:
    import torch

    torch.set_num_threads(threads)
    recipe, graph = task.recipe, with_images(task.network, task.recipe.batch)
    step: Training = recipe.training(task.network)
    network = TorchNetwork(graph, predicted(graph, recipe.loss), step.trained, channels_last=channels_last)
    tensors = {name: network.placed(torch.from_numpy(array)) for name, array in task.feeds.items()}
    inputs = {name: tensors[name] for name in (*task.network.inputs, *step.noises)}
    wanted = tensors[step.wanted]
    cost = loss_in_torch(torch, recipe.loss, wanted.long() if step.classes is not None else wanted)
    parameters = [network.parameters[name] for name in step.trained]
    optimiser = optimiser_in_torch(torch, recipe.optimiser, parameters)

    def run() -> Tensor:
        optimiser.zero_grad()
        loss = cost(network(inputs))
        loss.backward()
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimiser.step()
        return loss

    loss = run()
    found = [tensor.detach().numpy().copy() for tensor in (loss, *(p.grad for p in parameters))]
    return run, lambda: found


def loss_in_torch(torch: Any, loss: Loss, wanted: Tensor) -> Callable[[Tensor], Tensor]:
    """A loss as a function of the prediction. Raises PeerError for one that PyTorch has not."""
    functions = torch.nn.functional
    if isinstance(loss, CrossEntropy):
        return lambda x: functions.cross_entropy(x, wanted, label_smoothing=loss.smoothing)
    if isinstance(loss, MeanSquares):
        return lambda x: functions.mse_loss(x, wanted)
    if isinstance(loss, BinaryCrossEntropy):
        return lambda x: functions.binary_cross_entropy_with_logits(x, wanted)
    raise PeerError(f"the loss {loss} is not compared with PyTorch")


def optimiser_in_torch(torch: Any, optimiser: Optimiser, parameters: Sequence[Tensor]) -> Any:
    """PyTorch's optimiser; what has one axis does not decay. Raises PeerError for one that it has not."""
    groups = [{"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]
    groups.append({"params": [p for p in parameters if p.dim() > 1]})
    groups = [group for group in groups if group["params"]]
    if isinstance(optimiser, SGD):
        how = {"momentum": optimiser.momentum, "nesterov": optimiser.nesterov, "weight_decay": optimiser.decay}
        return torch.optim.SGD(groups, lr=optimiser.rate, **how)
    if isinstance(optimiser, AdamW):
        betas = optimiser.beta1, optimiser.beta2
        return torch.optim.AdamW(groups, optimiser.rate, betas, optimiser.epsilon, optimiser.decay)
    raise PeerError(f"the optimiser {optimiser} is not compared with PyTorch")


if __name__ == "__main__":
    main(load)
