"""A project whose program learns: the network and a step of its training, with one block of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template

from ..check.bound import Bound
from ..errors import UsageError
from ..naming import file_stem
from ..runtime.executable import Executable, Port
from ..types import Array
from .project import around, data, section, template, title
from .statements import compared, declared, named, shown


def learning_project(
    network: Executable,
    step: Executable,
    loss: str,
    feeds: Mapping[str, Array],
    expected: tuple[Mapping[str, Bound], Mapping[str, Bound]],
) -> dict[str, bytes]:
    """The project's files by name, but for the libraries and headers of both programs.

    `feeds` are the inputs of the step, among them those of the network. `expected` are the outputs of the network
    before, and those of the first step; `loss` is the one of the latter that is printed.
    Raises TargetError for a target that no board has, UsageError if network and step differ in their images.
    """
    inputs, known = named("x", step.inputs), {port.name: name for name, port in named("x", step.inputs)}
    before, after = named("y", network.outputs), named("z", step.outputs)
    types = {port.name: port.type for port in step.inputs}
    if any(types.get(port.name) != port.type for port in network.inputs):
        raise UsageError("--example with --step is for a network of one image and a step of one image")
    main = Template(template("learn.c")).substitute(
        title=title(network),
        network=network.symbol,
        step=step.symbol,
        network_header=f"{file_stem(network.symbol)}.h",
        step_header=f"{file_stem(step.symbol)}.h",
        states=step.state_bytes,
        initial=network.state_symbol,
        workspace=max(1, network.workspace_bytes(1), step.workspace_bytes(1)),
        alignment=network.target.alignment,
        workspace_section=section(network, "workspace"),
        states_section=section(network, "states"),
        outputs=declared([*before, *after]),
        network_arguments=", ".join([*(known[port.name] for port in network.inputs), *_arrays(before)]),
        step_arguments=", ".join([*_arrays(inputs), *_arrays(after)]),
        shown=shown(before, network),
        network_compared=compared(before),
        step_compared="\n".join(f"        {line}" for line in compared(after).splitlines()),
        loss=next(name for name, port in after if port.name == loss),
        total=sum(port.type.size for _, port in (*before, *after)),
    )
    return around([network, step], main, data(inputs, feeds, [(before, expected[0]), (after, expected[1])]))


def _arrays(ports: Sequence[tuple[str, Port]]) -> list[str]:
    return [name for name, _ in ports]
