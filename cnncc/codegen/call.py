"""The memory of a call: its fields (`abi.CALL`), and the addresses of the plan's buffers in it."""

from __future__ import annotations

from dataclasses import dataclass

from .. import abi
from ..plan.plan import Interface, Plan
from ..plan.views import Buffer
from .emitter import Emitter
from .registers import BYTE, INT32, POINTER, Index, RegisterType, Ssa, memory_type


@dataclass
class CallFields:
    """The fields of a cnncc_call (`abi.CALL`) after those that `NAME_run` alone looks at, loaded."""

    images: Ssa
    shard: Ssa
    shards: Ssa
    inputs: Ssa
    outputs: Ssa
    workspace: Ssa
    weights: Ssa
    wait: Ssa
    wait_argument: Ssa


def register(field: abi.Field) -> RegisterType:
    return POINTER if field.is_pointer else INT32


def element(e: Emitter, plan: Plan, array: Ssa, index: int) -> Ssa:
    """A pointer of an array of pointers."""
    return e.load(POINTER, e.address(array, index * (plan.target.pointer_bits // 8), BYTE))


@dataclass
class BufferAddresses:
    """The addresses of buffers, for one image and this shard; the image is number `member` of its block.

    They are computed at each use: keeping the addresses of a whole network alive would cost registers and,
    with thousands of steps, minutes of register allocation.
    """

    e: Emitter
    plan: Plan
    shard_bytes: int
    call: CallFields
    image: Index
    member: Index = 0

    def base(self, name: str) -> Ssa:
        """The address of the first element of a buffer."""
        e, plan, call = self.e, self.plan, self.call
        buffer = plan.buffers[name]
        if buffer.space == "input":
            return self.of_image(element(e, plan, call.inputs, buffer.place), plan.inputs[buffer.place])
        if buffer.space == "output":
            return self.of_image(element(e, plan, call.outputs, buffer.place), plan.outputs[buffer.place])
        if buffer.space == "state":
            return e.address(element(e, plan, call.outputs, len(plan.outputs)), buffer.place, BYTE)
        if buffer.space == "weights":
            return e.address(call.weights, buffer.place, BYTE)
        if buffer.space == "arena":
            return e.address(call.workspace, e.add(self.piece(buffer), plan.header_bytes + buffer.place), BYTE)
        return self.own(e.add(self.piece(buffer), buffer.place))

    def piece(self, buffer: Buffer) -> Index:
        """Where the piece of this image begins in a buffer, in bytes."""
        return self.e.mul(self.member, buffer.pitch * buffer.dtype.bytes) if buffer.images > 1 else 0

    def own(self, place: Index) -> Ssa:
        """An address in the shard's own memory."""
        e = self.e
        begin = e.mul(e.convert(self.call.shard, e.index_type, signed=False), self.shard_bytes)
        return e.address(self.call.workspace, e.add(begin, e.add(self.plan.workspace_base, place)), BYTE)

    def ticks(self, number: int) -> Ssa:
        """The cycle counter of a step."""
        return self.own(self.plan.shard_bytes + 8 * number)

    def of_image(self, base: Ssa, port: Interface) -> Ssa:
        """The address in an input or output for the current image."""
        if not (self.plan.batchable and port.batched):
            return base
        e = self.e
        return e.address(base, e.mul(self.image, port.elements(True)), memory_type(port.type.dtype))
