"""Pictures of bytes through every door: calls, bound calls, threads, the cache, the header and the manifest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnncc import compile
from cnncc.check.bound import compare
from cnncc.check.tolerance import bounds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.elements import UINT8
from cnncc.errors import InputError
from cnncc.ir import Builder, Graph
from cnncc.op import Op
from cnncc.ops import Conv, Flatten, ImageToTensor, MaxPool
from cnncc.runtime.artefacts import write
from cnncc.runtime.header import header
from cnncc.runtime.manifest import describe, restore
from cnncc.runtime.model import Model
from cnncc.runtime.reload import load
from cnncc.types import Array, TensorType

PROGRAM = """
#include <stdio.h>
#include "camera.h"

static union { char bytes[CAMERA_WORKSPACE_BYTES + 64]; double aligned; } memory;

int main(void)
{
    uint8_t x[CAMERA_INPUT_SIZE];
    float y[CAMERA_OUTPUT_SIZE];
    char *workspace = memory.bytes + (64 - (size_t)memory.bytes % 64) % 64;
    if (fread(x, 1, sizeof x, stdin) != sizeof x) return 1;
    if (camera_infer(x, y, workspace) != CNNCC_OK) return 2;
    return fwrite(y, sizeof *y, CAMERA_OUTPUT_SIZE, stdout) != CAMERA_OUTPUT_SIZE;
}
"""

CONSUMERS: dict[str, tuple[Op, tuple[int, ...] | None] | None] = {
    "nothing": None,
    "dense conv": (Conv((3, 3), padding="same"), (20, 3, 3, 3)),
    "few channels": (Conv((3, 3), stride=2), (2, 3, 3, 3)),
    "depthwise": (Conv((3, 3), padding=1, groups=3), (3, 1, 3, 3)),
    "pool": (MaxPool((3, 3), 2, 1), None),
    "flatten": (Flatten(), None),
}


def graph(consumer: str, channels_last: bool, scaled: bool, images: int = 1) -> Graph:
    """uint8 picture → tensor → consumer."""
    rng, b = np.random.default_rng(3), Builder("camera")
    shape = (images, 9, 11, 3) if channels_last else (images, 3, 9, 11)
    values = [b.input("picture", TensorType(shape, UINT8))]
    if scaled:
        values += [b.constant(rng.standard_normal(3), name) for name in ("factor", "shift")]
    (tensor,) = b.add(ImageToTensor(channels_last), values, "tensor")
    if (found := CONSUMERS[consumer]) is not None:
        op, weights = found
        more = [b.constant(rng.standard_normal(weights), "weights")] if weights else []
        (tensor,) = b.add(op, [tensor, *more], "consumer")
    return b.graph({"y": tensor})


def pictures(of: Graph, images: int) -> Array:
    shape = of.inputs["picture"].shape
    return np.random.default_rng(4).integers(0, 256, (images, *shape[1:]), np.uint8)


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize(("channels_last", "scaled"), [(True, True), (True, False), (False, True), (False, False)])
def test_native_code_reads_bytes(channels_last: bool, scaled: bool, consumer: str) -> None:
    made = graph(consumer, channels_last, scaled, images=2)
    for checked in (False, True):
        with compile(made, checked=checked, cache=False, threads=2) as model:
            for images in (1, 2, 3):
                x = pictures(made, images)
                bound = bounds(made, {"picture": x})[made.outputs["y"]]
                for same in (x, np.asfortranarray(x)):
                    assert compare(model(same), bound).ok


@pytest.fixture(scope="module")
def model() -> Model:
    return compile(graph("dense conv", True, True), cache=False)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.usefixtures("only_native")
def test_standard_calls_take_the_fast_way_at_any_address(model: Model, images: int) -> None:
    x = pictures(graph("dense conv", True, True), images)
    moved = np.zeros(x.size + 1, np.uint8)[1:].reshape(x.shape)
    moved[:] = x
    for array in (x, moved, memoryview(moved)):
        np.testing.assert_array_equal(model(array), model.bind(x)())
    for other in (x.astype(np.int8), x.view(bool)):
        with pytest.raises(AssertionError, match="went on to Python"):
            model(other)


FROM_FLOATS = (
    "pixels from 0 to 1 become bytes with np.round(x * 255).astype(np.uint8), "
    "pixels from 0 to 255 with np.round(x).astype(np.uint8)"
)
FROM_INTEGERS = "if all values lie between 0 and 255, convert it with .astype(np.uint8) or convert=True"


@pytest.mark.parametrize("scale", [1, 255])
def test_the_hint_keeps_the_picture(model: Model, scale: int) -> None:
    x = pictures(graph("dense conv", True, True), 1)
    given = x / np.float32(255) * np.float32(scale)
    with pytest.raises(InputError) as info:
        model(given)
    hints = info.value.message.split("pixels from 0 to ")[1:]
    assert [int(hint.split(" ")[0]) for hint in hints] == [1, 255]
    conversion = next(hint.split("with ")[1].rstrip(", ") for hint in hints if hint.startswith(f"{scale} "))
    converted = eval(conversion, {"np": np, "x": given})
    np.testing.assert_array_equal(converted, x)


def test_other_element_types_are_refused(model: Model) -> None:
    x = pictures(graph("dense conv", True, True), 1)
    for dtype, hint in (
        (np.float32, FROM_FLOATS),
        (np.float16, FROM_FLOATS),
        (np.int8, FROM_INTEGERS),
        (np.uint16, FROM_INTEGERS),
    ):
        with pytest.raises(InputError) as info:
            model(x.astype(dtype))
        assert info.value.message == f"input 'picture': expected uint8, got {np.dtype(dtype)}; {hint}"
    with pytest.raises(InputError) as info:
        model(x.transpose(0, 3, 1, 2))
    assert info.value.message == "input 'picture': expected shape (1, 9, 11, 3), got (1, 3, 9, 11)"


def test_header_and_manifest_say_bytes() -> None:
    executable = Compilation(graph("pool", True, True), Options(resolve_target("host"))).build()
    text = header(executable)
    assert " * input x: picture uint8[1, 9, 11, 3]" in text
    assert " * output y: y float32[1, 3, 5, 6]" in text
    assert "camera_infer(const uint8_t *x, float *y, void *workspace)" in text
    manifest = describe(executable)
    assert manifest["inputs"] == [{"name": "picture", "shape": [1, 9, 11, 3], "dtype": "uint8", "batched": True}]
    assert restore(manifest, executable.object, executable.weights).inputs == executable.inputs


def test_from_the_cache(private_cache: object) -> None:
    made = graph("few channels", True, True)
    x = pictures(made, 1)
    first, second = compile(made), compile(made)
    np.testing.assert_array_equal(first(x), second(x))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_from_a_library_and_from_c(tmp_path: Path) -> None:
    made = graph("pool", True, True)
    executable = Compilation(made, Options(resolve_target("host"))).build()
    write(executable, tmp_path, ["so", "a", "h"])
    x = pictures(made, 1)
    expected = Model(executable)(x)
    with load(tmp_path / "camera.so") as loaded:
        np.testing.assert_array_equal(loaded(x), expected)
    (tmp_path / "main.c").write_text(PROGRAM)
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "libcamera.a", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    ran = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, timeout=60, check=True)
    np.testing.assert_array_equal(np.frombuffer(ran.stdout, np.float32), expected.ravel())
