"""`--step`: a network that learns in a C program, with the bits that it has in Python; and steps that are looked at."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import cli, learn
from cnncc.check import model as checking
from cnncc.types import Array
from tests.embed.support import C99, build, needs_cc

SCRIPT = """\
from cnncc import nn

model = nn.Sequential(nn.Conv(4, 3, activation="relu"), nn.MaxPool(2), nn.Flatten(), nn.Dense(3), nn.Softmax(),
                      input=(1, 6, 6), name="net", seed=0)
"""

PROGRAM = """\
#include <stdio.h>
#include <string.h>
#include "net.h"
#include "net_step.h"

static unsigned char memory[NET_STATE_BYTES + NET_WORKSPACE_BYTES + NET_STEP_WORKSPACE_BYTES + 3 * 64];

int main(void)
{
    unsigned char *state = memory + (64 - (uintptr_t)memory % 64) % 64;
    unsigned char *own = state + (NET_STATE_BYTES + 63) / 64 * 64, *steps = own + (NET_WORKSPACE_BYTES + 63) / 64 * 64;
    float x[36], y[3], rate = 0.1f, loss, correct;
    int32_t wanted = 2;
    int i, k;
    for (i = 0; i < 36; i++)
        x[i] = (float)(i % 5) / 4;
    memcpy(state, net_initial_state, NET_STATE_BYTES);
    for (k = 0; k < 8; k++) {
        if (net_step_infer(x, &wanted, &rate, &loss, &correct, state, steps) || net_infer(x, y, state, own))
            return 1;
        printf("%.9g %.9g\\n", loss, y[2]);
    }
    return 0;
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(SCRIPT)
    return tmp_path


def compiled(folder: Path, *words: str) -> int:
    return cli.main(["compile", str(folder / "net.py"), "--step", "-o", str(folder / "build"), *words])


@needs_cc
def test_it_learns_in_c(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(folder, "--kinds", "a,h") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["net", "net_step"]
    (folder / "build" / "main.c").write_text(PROGRAM)
    program = build(folder / "build", "cc", *C99, "main.c", "libnet.a", "libnet_step.a")
    told = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    step = learn.Step(cnncc.load_graph(folder / "net.py"), batch=1, plan=None)
    x = (np.arange(36, dtype=np.float32) % 5 / 4).reshape(1, 1, 6, 6)
    losses = [step(x, np.array([2]), rate=0.1) for _ in range(8)]
    assert [np.float32(line.split()[0]) for line in told] == [np.float32(loss) for loss in losses]
    assert float(told[-1].split()[1]) > 0.9 > float(told[0].split()[1])


def test_a_step_for_a_microcontroller(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(folder, "--target", "cortex-m4", "--kinds", "json", "--batch", "2", "--train", "dense*") == 0
    text = (folder / "build" / "net_step.json").read_text()
    assert '"undefined": []' in text and '"updates": true' in text
    assert '"updates": false' in (folder / "build" / "net.json").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--loss", "hinge"), "unknown loss 'hinge'"),
        (("--train", "fc*"), "'fc*' matches no parameter"),
        (("--tune",), "--tune is for one program, and --step writes two"),
        (("--clip", "0"), "clip=0.0: expected a positive, finite number"),
        (("--shape", "a=1", "--shape", "a=2"), "--step takes one size: give one --shape for each input"),
    ],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert compiled(folder, *words) == 2
    assert message in capsys.readouterr().err and not (folder / "build").exists()


def looked_at(folder: Path, verb: str, *words: str) -> int:
    return cli.main([verb, str(folder / "net.py"), *words])


@pytest.mark.parametrize("words", [("--clip", "1"), ("--optimiser", "adamw", "--train", "dense*", "--threads", "2")])
def test_a_step_is_checked(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert looked_at(folder, "check", "--step", "--batch", "5", *words) == 0
    *rows, verdict = capsys.readouterr().out.splitlines()
    assert verdict.startswith("net_step: ") and verdict.endswith("of a step that updates nothing in place")
    assert any(row.split()[:2] == ["model", "dense1.weights"] and row.endswith("in place") for row in rows)


def test_a_step_that_spoils_what_it_reads(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped = checking._stepped

    def spoilt(*given: Any) -> dict[str, Array]:
        found = stepped(*given)
        found["dense1.bias (after)"][2] = 3
        return found

    monkeypatch.setattr(checking, "_stepped", spoilt)
    assert looked_at(folder, "check", "--step") == 6
    told = r"'dense1\.bias \(after\)' has other bits than in a step that updates nothing in place: at \(2,\) 3, not "
    assert re.search(told, capsys.readouterr().err)


def test_stages_of_a_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("graph", "passes", "plan", "memory", "llvm", "dot"):
        assert looked_at(folder, "show", "--step", "--batch", "3", "--stage", stage, "--target", "x86-64-v3") == 0
        assert "net_step" in capsys.readouterr().out
    assert looked_at(folder, "show", "--step", "--loss", "cross-entropy") == 0
    assert "update dense1.weights = " in capsys.readouterr().out


def test_a_step_is_timed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert looked_at(folder, "bench", "--step", "--seconds", "0.05", "--json", "--layers", "--threads", "1,2") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "net_step" and facts["images"] == 32 and len(facts["timings"]) == 2
    assert {"conv1", "dense1"} <= {step["name"] for step in facts["layers"]["steps"]}


@pytest.mark.parametrize("verb", ["check", "show", "bench"])
def test_what_is_said_of_a_step_needs_one(folder: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert looked_at(folder, verb, "--batch", "3") == 2
    assert capsys.readouterr().err == "cnncc: --batch says what a step is made of: it needs --step\n"
    assert looked_at(folder, verb, "--step", "--loss", "hinge") == 2
    assert "unknown loss 'hinge'" in capsys.readouterr().err


def test_a_step_makes_its_inputs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert looked_at(folder, "check", "x.npy", "--step") == 2
    assert capsys.readouterr().err == "cnncc: check --step makes its inputs itself: it takes no files\n"
