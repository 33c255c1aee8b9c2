"""Hand-written code objects that obey ABI v2, so that the runtime is tested without the compiler.

Every toy computes `out[k] = 2 * sum(inputs), reversed, + weight + k` over `size` floats an image. The sum goes to the
workspace and is read back in reverse order after a barrier, so that a shard that does not run, or runs late, shows.
"""

from __future__ import annotations

import numpy as np

from cnncc.machine.target import Target
from cnncc.native import emit_object, host_target
from cnncc.objects import format_of
from cnncc.runtime.executable import Executable, Port
from cnncc.types import Array, TensorType

WEIGHT = 3.0
HEAD = 128  # barrier words and the fault's step, then the sums of one image

_HEADER = """
%Call = type {{ i32, i32, i32, i32, i32, i32, ptr, ptr, ptr, ptr, ptr, ptr }}

define i32 @{symbol}_check() nounwind "no-builtins" {{ ret i32 {check} }}

define {word} @{symbol}_workspace_bytes(i32 %shards) nounwind "no-builtins" {{ ret {word} {workspace} }}
"""

_BARRIER = """
define internal void @meet(ptr %call, ptr %workspace, i32 %shards) nounwind "no-builtins" {
  %epoch.p = getelementptr i32, ptr %workspace, i32 1
  %epoch = load atomic i32, ptr %epoch.p acquire, align 4
  %old = atomicrmw add ptr %workspace, i32 1 acq_rel
  %arrived = add i32 %old, 1
  %last = icmp eq i32 %arrived, %shards
  br i1 %last, label %open, label %look
open:
  store atomic i32 0, ptr %workspace monotonic, align 4
  %before = atomicrmw add ptr %epoch.p, i32 1 release
  ret void
look:
  %now = load atomic i32, ptr %epoch.p acquire, align 4
  %same = icmp eq i32 %now, %epoch
  br i1 %same, label %wait, label %out
wait:
  %wait.p = getelementptr %Call, ptr %call, i32 0, i32 10
  %wait.f = load ptr, ptr %wait.p
  %spin = icmp eq ptr %wait.f, null
  br i1 %spin, label %look, label %call.wait
call.wait:
  %argument.p = getelementptr %Call, ptr %call, i32 0, i32 11
  %argument = load ptr, ptr %argument.p
  call void %wait.f(ptr %argument)
  br label %look
out:
  ret void
}
"""

_RUN = """
define i32 @{symbol}_run(ptr %call) nounwind "no-builtins" {{
  %abi = load i32, ptr %call
  %abi.ok = icmp eq i32 %abi, 2
  br i1 %abi.ok, label %sizes, label %error.abi
sizes:
  %images.p = getelementptr %Call, ptr %call, i32 0, i32 3
  %images = load i32, ptr %images.p
  %shard.p = getelementptr %Call, ptr %call, i32 0, i32 4
  %shard = load i32, ptr %shard.p
  %shards.p = getelementptr %Call, ptr %call, i32 0, i32 5
  %shards = load i32, ptr %shards.p
  %inputs.p = getelementptr %Call, ptr %call, i32 0, i32 6
  %inputs = load ptr, ptr %inputs.p
  %outputs.p = getelementptr %Call, ptr %call, i32 0, i32 7
  %outputs = load ptr, ptr %outputs.p
  %workspace.p = getelementptr %Call, ptr %call, i32 0, i32 8
  %workspace = load ptr, ptr %workspace.p
  %weights.p = getelementptr %Call, ptr %call, i32 0, i32 9
  %weights = load ptr, ptr %weights.p
  %in.null = icmp eq ptr %inputs, null
  %out.null = icmp eq ptr %outputs, null
  %null = or i1 %in.null, %out.null
  br i1 %null, label %error.null, label %alignment
alignment:
  %address = ptrtoint ptr %workspace to {word}
  %low = and {word} %address, 63
  %crooked = icmp ne {word} %low, 0
  br i1 %crooked, label %error.aligned, label %count
count:
  %empty = icmp eq i32 %images, 0
  br i1 %empty, label %error.images, label %who
who:
  %inside = icmp ult i32 %shard, %shards
  br i1 %inside, label %fine, label %error.shards
fine:
  %fault = icmp eq i32 {fault}, 0
  br i1 %fault, label %work, label %error.fault
error.fault:
  %step.p = getelementptr i32, ptr %workspace, i32 4
  store i32 {fault}, ptr %step.p
  ret i32 6
error.abi:
  ret i32 1
error.null:
  ret i32 2
error.aligned:
  ret i32 3
error.images:
  ret i32 4
error.shards:
  ret i32 5
work:
  %sums = getelementptr i8, ptr %workspace, {word} {head}
  %w = load float, ptr %weights
  %a.part = mul i32 %shard, {size}
  %a = udiv i32 %a.part, %shards
  %next.shard = add i32 %shard, 1
  %b.part = mul i32 %next.shard, {size}
  %b = udiv i32 %b.part, %shards
  br label %image
image:
  %n = phi i32 [ 0, %work ], [ %n.after, %image.end ]
  %n.more = icmp ult i32 %n, %images
  %base = mul i32 %n, {size}
  br i1 %n.more, label %add, label %out
add:
  %i = phi i32 [ %a, %image ], [ %i.after, %add.one ]
  %i.more = icmp ult i32 %i, %b
  br i1 %i.more, label %add.one, label %added
add.one:
  %at = add i32 %base, %i
{add}
  %sum.p = getelementptr float, ptr %sums, i32 %i
  store float %sum, ptr %sum.p
  %i.after = add i32 %i, 1
  br label %add
added:
  {meet}
  br label %write
write:
  %j = phi i32 [ %a, %added ], [ %j.after, %write.one ]
  %j.more = icmp ult i32 %j, %b
  br i1 %j.more, label %write.one, label %image.end
write.one:
  %mirror = sub i32 {last}, %j
  %value.p = getelementptr float, ptr %sums, i32 %mirror
  %value = load float, ptr %value.p
  %twice = fadd float %value, %value
  %biased = fadd float %twice, %w
  %to = add i32 %base, %j
{write}
  %j.after = add i32 %j, 1
  br label %write
image.end:
  {meet}
  %n.after = add i32 %n, 1
  br label %image
out:
  ret i32 0
}}
"""


def text(symbol: str, size: int, n_in: int, n_out: int, target: Target, fault: int = 0, check: int = 0) -> str:
    """The LLVM text of a toy. `fault` makes `run` report that step (counted from 1), `check` is what `check` says."""
    word = f"i{target.pointer_bits}"
    return (_HEADER + _RUN).format(
        symbol=symbol,
        word=word,
        check=check,
        fault=fault,
        size=size,
        last=size - 1,
        head=HEAD,
        workspace=HEAD + 4 * size,
        add="\n".join(_add(k) for k in range(n_in)) + f"\n  %sum = fadd float %s{n_in - 1}, 0.0",
        write="\n".join(_write(k) for k in range(n_out)),
        meet="call void @meet(ptr %call, ptr %workspace, i32 %shards)" if target.atomics else "",
    ) + (_BARRIER if target.atomics else "")


def executable(
    size: int = 6,
    n_in: int = 1,
    n_out: int = 1,
    *,
    name: str = "toy",
    target: Target | None = None,
    shape: tuple[int, ...] | None = None,
    images: int = 1,
    batchable: bool = True,
    fault: int = 0,
    check: int = 0,
) -> Executable:
    """A toy ready to run; `shape` is that of one image and holds `size` elements."""
    target = target or host_target()
    code = emit_object(text(name, size, n_in, n_out, target, fault, check), target)
    kind = TensorType((images, *(shape or (size,))))
    return Executable(
        name=name,
        symbol=name,
        target=target,
        object=code,
        weights=np.float32(WEIGHT).tobytes(),
        inputs=tuple(Port(f"x{k}" if n_in > 1 else "x", kind, True) for k in range(n_in)),
        outputs=tuple(Port(f"y{k}" if n_out > 1 else "y", kind, True) for k in range(n_out)),
        images=images,
        batchable=batchable,
        workspace_base=HEAD + 4 * size,
        workspace_shard=0,
        max_shards=8 if target.atomics else 1,
        useful_shards=8,
        labels=("cat", "dog"),
        checked=fault != 0,
        steps=("conv1", "pool1"),
        undefined=format_of(target).undefined_symbols(code),
    )


def expected(*inputs: Array) -> Array:
    """What a toy's first output must be; output k is k more."""
    total: Array = np.add.reduce(inputs)
    flat = np.flip(total, tuple(range(1, total.ndim)))
    return np.asarray(2 * flat + np.float32(WEIGHT), np.float32)


def images(count: int = 1, size: int = 6, seed: int = 0) -> Array:
    """Small whole numbers, so that sums are exact."""
    return np.random.default_rng(seed).integers(-50, 50, (count, size)).astype(np.float32)


def _add(k: int) -> str:
    lines = f"""\
  %in{k}.pp = getelementptr ptr, ptr %inputs, i32 {k}
  %in{k} = load ptr, ptr %in{k}.pp
  %in{k}.p = getelementptr float, ptr %in{k}, i32 %at
  %v{k} = load float, ptr %in{k}.p
"""
    return lines + f"  %s{k} = fadd float {'0.0' if k == 0 else f'%s{k - 1}'}, %v{k}"


def _write(k: int) -> str:
    return f"""\
  %r{k} = fadd float %biased, {float(k)}
  %out{k}.pp = getelementptr ptr, ptr %outputs, i32 {k}
  %out{k} = load ptr, ptr %out{k}.pp
  %out{k}.p = getelementptr float, ptr %out{k}, i32 %to
  store float %r{k}, ptr %out{k}.p"""
