"""An executable described in JSON: the manifest of the artefacts and the header of a cache entry. No pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .. import abi
from ..elements import ELEMENTS
from ..machine.target import Target
from ..objects.regions import Regions
from ..types import TensorType, port_type
from .executable import BufferUse, Executable, Port, StatePort

Manifest = dict[str, Any]


def describe(executable: Executable) -> Manifest:
    """Everything but object and weights. The same executable gives the same text on every machine, in every folder."""
    symbol, states = executable.symbol, [_describe_state(state) for state in executable.states]
    held = {"states": states, "state_bytes": executable.state_bytes, "updates": executable.updates}
    return {
        "abi": abi.VERSION,
        "name": executable.name,
        "symbol": symbol,
        "functions": {part: f"{symbol}_{part}" for part in ("run", "workspace_bytes", "check")},
        "target": executable.target.describe(),
        "processor_check": executable.target.isa.check.value,
        "inputs": [_describe_port(port) for port in executable.inputs],
        "outputs": [_describe_port(port) for port in executable.outputs],
        "images": executable.images,
        "batchable": executable.batchable,
        "fixed": executable.fixed,
        "workspace_bytes": executable.workspace_bytes(1),
        "workspace_base": executable.workspace_base,
        "workspace_shard": executable.workspace_shard,
        "alignment": executable.target.alignment,
        "stack_bytes": executable.stack_bytes,
        "max_shards": executable.max_shards,
        "useful_shards": executable.useful_shards,
        "cycles": executable.cycles,
        "sharing": executable.sharing,
        "weights_symbol": executable.weights_symbol,
        "weights_bytes": len(executable.weights),
        "code_bytes": executable.code_bytes,
        "fingerprint": executable.fingerprint,
        "weights_element": executable.weights_element,
        "labels": list(executable.labels),
        "checked": executable.checked,
        "steps": list(executable.steps),
        "undefined": list(executable.undefined),
        "buffers": [asdict(buffer) for buffer in executable.buffers],
        "errors": {f"{code:d}": reason for code, reason in abi.REASONS.items()},
        **{name: value for name in ("library", "convert") if (value := getattr(executable, name))},
        **({"sections": placed} if (placed := executable.regions.given()) else {}),
        **(held | {"state_symbol": executable.state_symbol} if states else {}),
    }


def describe_library(executables: Sequence[Executable]) -> Manifest:
    """The manifest of a library: that of its only program, or a list of theirs."""
    first, *others = map(describe, executables)
    if not others:
        return first
    return {"abi": abi.VERSION, "name": first["name"], "library": first["library"], "programs": [first, *others]}


def restore_library(
    manifest: Manifest,
    objects: Sequence[bytes] | None = None,
    weights: bytes | memoryview = b"",
    initial_state: bytes = b"",
) -> tuple[Executable, ...]:
    """The programs of a manifest from `describe_library`, without code if no objects are given.

    Raises ValueError as `restore` does, and for another number of objects.
    """
    programs = manifest.get("programs", [manifest]) if isinstance(manifest, dict) else [manifest]
    if not isinstance(programs, list) or not programs:
        raise ValueError("the manifest is incomplete: it has no programs")
    codes = [b""] * len(programs) if objects is None else objects
    return tuple(restore(program, code, weights, initial_state) for program, code in zip(programs, codes, strict=True))


def restore(
    manifest: Manifest, code: bytes = b"", weights: bytes | memoryview = b"", initial_state: bytes = b""
) -> Executable:
    """The executable of a manifest from `describe`; its weights are the first of those given.

    Raises ValueError for another ABI or missing parts.
    """
    if not isinstance(manifest, dict) or manifest.get("abi") != abi.VERSION:
        raise ValueError(f"the manifest is not of ABI version {abi.VERSION}")
    try:
        return _restore(manifest, code, weights, initial_state)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the manifest is incomplete: {error}") from error


def to_json(manifest: Manifest) -> str:
    """The manifest as JSON text."""
    return json.dumps(manifest, indent=2, ensure_ascii=True) + "\n"


def _restore(manifest: Manifest, code: bytes, weights: bytes | memoryview, initial_state: bytes) -> Executable:
    return Executable(
        name=str(manifest["name"]),
        symbol=str(manifest["symbol"]),
        target=Target.restore(manifest["target"]),
        object=code,
        weights=weights[: int(manifest["weights_bytes"])],
        inputs=tuple(_restore_port(port) for port in manifest["inputs"]),
        outputs=tuple(_restore_port(port) for port in manifest["outputs"]),
        images=int(manifest["images"]),
        batchable=bool(manifest["batchable"]),
        fixed=str(manifest.get("fixed", "")),  # libraries of earlier versions have none
        workspace_base=int(manifest["workspace_base"]),
        workspace_shard=int(manifest["workspace_shard"]),
        stack_bytes=_restore_stack(manifest.get("stack_bytes")),
        max_shards=int(manifest["max_shards"]),
        useful_shards=int(manifest["useful_shards"]),
        cycles=int(manifest.get("cycles", 0)),
        sharing=str(manifest["sharing"]),
        labels=tuple(manifest["labels"]),
        checked=bool(manifest["checked"]),
        steps=tuple(manifest["steps"]),
        undefined=tuple(manifest["undefined"]),
        regions=Regions(**manifest.get("sections", {})),
        buffers=tuple(_restore_buffer(buffer) for buffer in manifest.get("buffers", ())),
        weights_element=str(manifest.get("weights_element", "float32")),  # nor this
        library=str(manifest.get("library", "")),
        fingerprint=int(manifest["fingerprint"]),
        states=tuple(_restore_state(state) for state in manifest.get("states", ())),
        state_bytes=int(manifest.get("state_bytes", 0)),
        initial_state=initial_state,
        updates=bool(manifest.get("updates", False)),
        convert=bool(manifest.get("convert", False)),
    )


def _restore_stack(stated: Any) -> int | None:
    return None if stated is None else int(stated)


def _describe_port(port: Port) -> Manifest:
    facts = {"name": port.name, "shape": list(port.shape), "dtype": port.dtype, "batched": port.batched}
    return facts | ({"frame": port.frame} if port.frame else {})


def _describe_state(state: StatePort) -> Manifest:
    return {"name": state.name, "shape": list(state.shape), "dtype": state.dtype, "offset": state.offset}


def _restore_buffer(buffer: Manifest) -> BufferUse:
    return BufferUse(**{**buffer, "layers": tuple(buffer["layers"])})


def _restore_state(state: Manifest) -> StatePort:
    type = TensorType(tuple(int(n) for n in state["shape"]), ELEMENTS[state["dtype"]])
    return StatePort(str(state["name"]), type, int(state["offset"]))


def _restore_port(port: Manifest) -> Port:
    type = port_type(port["shape"], ELEMENTS[port["dtype"]])
    return Port(str(port["name"]), type, bool(port["batched"]), str(port.get("frame", "")))
