"""`cnncc compile --step`: a network that learns in a C program, with the bits that it has in Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import cli, learn
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
    ],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert compiled(folder, *words) == 2
    assert message in capsys.readouterr().err and not (folder / "build").exists()
