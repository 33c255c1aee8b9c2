"""Several sizes on the command line: `compile` writes one library with a program for each, other verbs take one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from ..onnx.cases import data
from ..onnx.support import model, node
from .conftest import DIGITS, Cli, listing
from .test_json import compare, page, printed

SIZES = ("--shape", "x=1,2,6,6", "--shape", "x=1,2,6,9")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    nodes = [node("Conv", "x k", "a", "first"), node("GlobalMaxPool", "a", "y", "pool")]
    onnx.save(model(nodes, {"x": ("n", 2, "h", "w")}, ["y"], {"k": data(4, 2, 3, 3)}), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_compile_writes_one_library(cli: Cli, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    result = cli("compile", net, *SIZES, "-o", tmp_path / "build")
    assert (result.code, result.err) == (0, "")
    names = {"net_6.o", "net_9.o", "net_weights.o", "libnet.a", "net.h", "net.json"}
    assert set(listing(tmp_path / "build")) == names | ({"net.so"} if shutil.which("cc") else set())
    rows = [line.split() for line in result.out.splitlines()]
    assert rows[-4] == "program workspace weights that no program above has".split()
    assert [row[0] for row in rows[-3:-1]] == ["net_6", "net_9"]
    weights = int(rows[-3][-1].replace(",", "")) + int(rows[-2][-1].replace(",", ""))
    assert result.out.splitlines()[-1] == f"net for host: weights {weights:,} bytes"
    header = (tmp_path / "build" / "net.h").read_text()
    assert " *     net_6: x float32[1, 2, 6, 6]\n *     net_9: x float32[1, 2, 6, 9]\n" in header


def test_the_code_of_each_program_as_text(cli: Cli, net: Path, tmp_path: Path) -> None:
    result = cli("compile", net, *SIZES, "-o", tmp_path / "build", "--kinds", "ll,s,json")
    assert (result.code, result.err) == (0, "")
    assert set(listing(tmp_path / "build")) == {"net_6.ll", "net_9.ll", "net_6.s", "net_9.s", "net.json"}
    for name in ("net_6", "net_9"):
        assert f"@{name}_run(" in (tmp_path / "build" / f"{name}.ll").read_text()
        assert f"{name}_run:" in (tmp_path / "build" / f"{name}.s").read_text()


def test_the_second_time_nothing_is_compiled(
    cli: Cli, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files again, from the cache; `--timings` names no stage of compiling."""
    words = ("compile", net, *SIZES, "--kinds", "o,a,h,json", "--timings", "-o")
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    first, again = cli(*words, tmp_path / "first"), cli(*words, tmp_path / "again")
    assert [stage(line) for line in first.err.splitlines()] == [
        "read",
        "cache",
        "passes",
        "plan",
        "code",
        "object",
        "all",
    ]
    assert [stage(line) for line in again.err.splitlines()] == ["read", "cache", "all"]
    assert again.out == first.out.replace("first", "again")
    for file in sorted((tmp_path / "first").iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert "passes" in cli(*words, tmp_path / "third", "--no-cache").err


def stage(line: str) -> str:
    return line.split()[-1]


def test_the_name_is_that_of_the_library(cli: Cli, net: Path, tmp_path: Path) -> None:
    assert cli("compile", net, *SIZES, "--name", "eye", "--kinds", "h,o", "-o", tmp_path / "build").code == 0
    assert set(listing(tmp_path / "build")) == {"eye_6.o", "eye_9.o", "eye_weights.o", "eye.h"}
    header = (tmp_path / "build" / "eye.h").read_text()
    assert "int eye_9_run(const cnncc_call *call);" in header and "eye_weights[];" in header


def test_check_and_bench_go_through_the_sizes(cli: Cli, net: Path) -> None:
    checked = cli("check", net, *SIZES)
    assert (checked.code, checked.err) == (0, "") and checked.out.count("are within their bounds") == 2
    heads = ["with x=(1, 2, 6, 6):", "with x=(1, 2, 6, 9):"]
    assert [line for line in checked.out.splitlines() if line.startswith("with")] == heads
    timed = cli("bench", net, *SIZES, "--seconds", "0.01")
    assert [line for line in timed.out.splitlines() if line.startswith("with")] == heads
    facts = json.loads(cli("bench", net, *SIZES, "--seconds", "0.01", "--json").out)
    assert [each["size"] for each in facts] == [{"x": [1, 2, 6, 6]}, {"x": [1, 2, 6, 9]}]
    assert facts[0]["flops"] < facts[1]["flops"]


@pytest.fixture
def library(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library for pictures of 4 × 6 and of 5 × 6 pixels, height first, and a second one of two inputs beside it."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    monkeypatch.delenv("CC", raising=False)
    onnx.save(model([node("Relu", "x", "y")], {"x": ("n", 3, "h", "w")}, ["y"]), tmp_path / "relu.onnx")
    onnx.save(model([node("Add", "a b", "y")], {"a": ("n", "h"), "b": ("n", "h")}, ["y"]), tmp_path / "sum.onnx")
    sizes = ("--shape", "x=1,3,4,6", "--shape", "x=1,3,5,6")
    assert cli("compile", tmp_path / "relu.onnx", *sizes, "--kinds", "so", "-o", tmp_path).code == 0
    sizes = ("--shape", "a=1,4", "--shape", "b=1,4", "--shape", "a=1,5", "--shape", "b=1,5")
    assert cli("compile", tmp_path / "sum.onnx", *sizes, "--kinds", "so", "-o", tmp_path).code == 0
    return tmp_path / "relu.so"


def saved(path: Path, *shape: int) -> Path:
    np.save(path, data(*shape))
    return path


KNOWN = "model 'relu' was compiled for x=(1, 3, 4, 6); x=(1, 3, 5, 6)"


def test_run_takes_the_program_of_the_input(cli: Cli, library: Path, tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a.npy", 1, 3, 4, 6), saved(tmp_path / "b.npy", 3, 3, 5, 6)
    result = cli("run", library, first, second, "--threads", 2)
    assert (result.code, result.err) == (0, "")
    assert [line.partition(", min")[0] for line in result.out.splitlines()] == [
        f"{first}: y float32 (1, 3, 4, 6)",
        f"{second}: y float32 (3, 3, 5, 6)",
    ]
    assert cli("run", library, second, "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.maximum(data(3, 3, 5, 6), 0))
    other = saved(tmp_path / "c.npy", 1, 3, 6, 6)
    told = cli("run", library, other)
    assert (told.code, told.err) == (4, f"cnncc: {other}: {KNOWN}, got x=(1, 3, 6, 6)\n")
    both = cli("run", library, first, second, "-o", tmp_path / "y.npy")
    apart = "output 'y' has several, such as (1, 3, 4, 6) and (3, 3, 5, 6): run files of each size apart"
    assert (both.code, both.err) == (2, f"cnncc: -o '{tmp_path / 'y.npy'}' holds arrays of one size, and {apart}\n")
    summed = cli("run", library.parent / "sum.so", saved(tmp_path / "d.npy", 2, 5), tmp_path / "d.npy")
    assert (summed.code, len(summed.out.splitlines())) == (0, 2)


def test_run_takes_the_size_of_a_picture(cli: Cli, library: Path, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    files = [tmp_path / f"{height}.png" for height in (4, 5, 7)]
    for file, height in zip(files, (4, 5, 7), strict=True):
        pillow.fromarray(np.full((height, 6, 3), 51, np.uint8)).save(file)
    result = cli("run", library, *files[:2])
    assert [line.partition(": ")[2] for line in result.out.splitlines()] == [
        f"y float32 (1, 3, {height}, 6), min 0.2, max 0.2" for height in (4, 5)
    ]
    assert cli("run", library, *files).err == f"cnncc: {files[2]}: {KNOWN}, got x=(1, 3, 7, 6)\n"
    scaled = cli("run", library, files[2], "--resize")
    assert scaled.err == "cnncc: --resize scales pictures to one size, input 'x' has several: --shape chooses one\n"
    chosen = cli("run", library, files[2], "--resize", "--shape", "x=1,3,4,6")
    assert chosen.out == f"{files[2]}: y float32 (1, 3, 4, 6), min 0.2, max 0.2\n"
    pillow.fromarray(np.full((4, 7, 3), 51, np.uint8)).save(files[0])
    assert cli("run", library, files[0]).err == f"cnncc: picture '{files[0]}' has 7×4 pixels, input 'x' takes 6×?\n"


def test_shape_chooses_a_size_of_a_library(cli: Cli, library: Path, tmp_path: Path) -> None:
    x = saved(tmp_path / "a.npy", 2, 3, 4, 6)
    assert cli("run", library, x, "--shape", "x=1,3,4,6").code == 0
    wrong = cli("run", library, x, "--shape", "x=1,3,5,6")
    assert wrong.err == f"cnncc: {x}: input 'x': expected shape (2, 3, 5, 6), got (2, 3, 4, 6)\n"
    for shape in ("x=1,3,9,9", "z=1,3,4,6"):
        refused = cli("run", library, x, "--shape", shape)
        name, sizes = shape.split("=")
        given = f"{name}=({sizes.replace(',', ', ')})"
        assert (refused.code, refused.err) == (2, f"cnncc: {KNOWN}: expected --shape of one of them, got {given}\n")
    several = cli("run", library, x, "--shape", "x=1,3,4,6", "--shape", "x=1,3,5,6")
    assert several.err == "cnncc: run of a library takes one size: give one shape for each input\n"


def test_run_compiles_the_sizes_of_its_inputs(cli: Cli, net: Path, tmp_path: Path) -> None:
    files = [saved(tmp_path / "a.npy", 1, 2, 6, 7), saved(tmp_path / "b.npy", 3, 2, 9, 5)]
    result = cli("run", net, "--shape", "any", *files, "--timings", "--no-cache")
    assert result.code == 0 and result.out.count("y float32") == 2
    assert [stage(line) for line in result.err.splitlines()] == ["read", "passes", "plan", "code", "object", "all"]
    small = saved(tmp_path / "c.npy", 1, 2, 2, 7)
    told = cli("run", net, "--shape", "any", small)
    assert told.code == 4 and told.err.startswith(
        f"cnncc: {small}: model 'net' cannot take x=(1, 2, 2, 7): layer 'first'"
    )


REFUSED = {
    "tuning": (("compile", "NET", *SIZES, "--tune"), 2, "--tune takes one size: give one --shape for each input"),
    "a plan": (("compile", "NET", *SIZES, "--save-plan", "p"), 2, "--save-plan takes one size: *"),
    "a saved plan": (("compile", "NET", *SIZES, "--plan", "p"), 2, "--plan takes one size: *"),
    "a saved plan, checked": (("check", "NET", *SIZES, "--plan", "p"), 2, "--plan takes one size: *"),
    "a script": (("compile", DIGITS, *SIZES), 2, "shapes are given with ONNX models only; *"),
    "the same": (("compile", "NET", *SIZES, "--shape", "x=1,2,6,6"), 2, "size x=(1, 2, 6, 6) is given twice"),
    "too small": (
        ("compile", "NET", *SIZES, "--shape", "x=1,2,1,6"),
        3,
        "with x=(1, 2, 1, 6): layer 'first': a window of 3 elements does not fit *",
    ),
    "an unknown input": (
        ("compile", "NET", "--shape", "z=1", "--shape", "z=2"),
        2,
        "a shape is given for 'z', but the inputs of * are x",
    ),
    "show": (("show", "NET", *SIZES), 2, "a graph takes one size: give one shape for each input"),
    "tuning while timing": (("bench", "NET", *SIZES, "--tune"), 2, "--tune takes one size: *"),
    "any, compiled": (
        ("compile", "NET", "--shape", "any"),
        2,
        "--shape any is for run, which takes the sizes of its *",
    ),
    "any, checked": (("check", "NET", "--shape", "any"), 2, "--shape any is for run, which takes the sizes of its *"),
    "any, shown": (("show", "NET", "--shape", "any"), 2, "a graph takes one size: give one shape for each input"),
    "any and more": (("run", "NET", *SIZES, "--shape", "any", "x.npy"), 2, "--shape any is given beside another one"),
    "any of a script": (("run", DIGITS, "--shape", "any", "x.npy"), 2, "shapes are given with ONNX models only; *"),
    "what is checked": (
        ("check", "NET", *SIZES, "--shape", "x=1,2,1,6"),
        3,
        "with x=(1, 2, 1, 6): layer 'first': a window of 3 elements does not fit *",
    ),
    "reduce": (("reduce", "NET", *SIZES), 2, "reduce takes one size: give one --shape for each input"),
    "dump": (("run", "NET", *SIZES, "x.npy", "--dump", "a"), 2, "--dump takes one size: give one --shape for each *"),
    "inspect": (("inspect", "NET", *SIZES), 2, "a graph takes one size: give one shape for each input"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_writes_nothing(cli: Cli, net: Path, tmp_path: Path, case: str) -> None:
    words, code, message = REFUSED[case]
    folder: tuple[object, ...] = ("-o", tmp_path / "build") if words[0] == "compile" else ()
    result = cli(*(net if word == "NET" else word for word in words), *folder)
    begin, _, end = message.partition("*")
    assert result.code == code and result.err.startswith(f"cnncc: {begin}") and result.err.rstrip().endswith(end)
    assert result.err.count("\n") == 1 and not (tmp_path / "build").exists()


@pytest.mark.parametrize(("verb", "more"), [("check", ()), ("bench", ("--seconds", "0.01"))])
def test_a_list_of_documents(cli: Cli, net: Path, verb: str, more: tuple[str, ...]) -> None:
    found = printed(cli(verb, net, *SIZES, *more, "--json"))
    assert [each["size"] for each in found] == [{"x": [1, 2, 6, 6]}, {"x": [1, 2, 6, 9]}]
    for each in found:
        compare(each, page()[verb], verb, set())


def test_a_document_of_a_library(cli: Cli, net: Path, tmp_path: Path) -> None:
    found = printed(cli("compile", net, *SIZES, "-o", tmp_path / "build", "--kinds", "o,h", "--json"))
    compare(found, page()["compile"], "compile", set())
    assert [each["symbol"] for each in found["programs"]] == ["net_6", "net_9"]
    assert [each["kind"].split()[0] for each in found["files"]] == ["o", "o", "weights", "h"]
