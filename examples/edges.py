"""Where a picture has edges: smoothed, differentiated along both axes, squared, and averaged over a neighbourhood.

The kernels are textbook ones and given densely, as any filter bank would give them. The compiler finds that each is
an outer product of two vectors and makes passes along the columns and rows of them. Run as a script, this tells what
that saves:

    python examples/edges.py
    cnncc show examples/edges.py --stage passes
"""

import numpy as np

from cnncc import nn

gauss = np.exp(-(np.arange(-3, 4, dtype=np.float32) ** 2) / np.float32(4.5))
gauss /= gauss.sum()
rise, hat = np.float32([-1, 0, 1]), np.float32([1, 2, 1])

KERNELS = {
    "smooth": [np.outer(gauss, gauss)],
    "gradient": [np.outer(hat, rise), np.outer(rise, hat)],  # Sobel: along the rows, along the columns
    "energy": [np.full((9, 9), 1 / 81, np.float32)] * 2,
}

picture = nn.Input((1, 96, 96), name="picture")
smooth = nn.Conv(1, 7, padding="same", bias=False, name="smooth")(picture)
slope = nn.Conv(2, 3, padding="same", bias=False, name="gradient")(smooth)
energy = nn.DepthwiseConv(9, padding="same", bias=False, name="energy")(slope * slope)

model = nn.Model(picture, {"energy": energy}, name="edges")
model.assign({f"{layer}.weights": np.stack(kernels)[:, None] for layer, kernels in KERNELS.items()})


def report() -> None:
    """Multiply-accumulates a pixel, layer by layer, before and after the passes."""
    from cnncc.passes.manager import optimise

    found = optimise(model.graph)
    pixels = 96 * 96
    for name, graph in (("as given", model.graph), ("compiled", found.graph)):
        costs = {node.name: node.op.cost(*graph.types(node.inputs)).macs // pixels for node in graph if node.inputs}
        shown = ", ".join(f"{layer} {macs}" for layer, macs in costs.items() if macs)
        print(f"{name}: {sum(costs.values())} multiply-accumulates a pixel ({shown})")


if __name__ == "__main__":
    report()
