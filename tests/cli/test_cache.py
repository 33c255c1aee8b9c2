"""`cnncc cache`: what is stored of compiled models, and how much that may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import DIGITS, PICTURES, Cli


def test_a_model_is_listed_and_removed(cli: Cli, private_cache: Path) -> None:
    folder = private_cache / "v1"
    assert cli("cache").out == f"{folder}: 0 entries, 0 bytes of 256.0 MiB\n"
    cli("run", DIGITS, PICTURES / "1.png")
    told = json.loads(cli("cache", "--json").out)
    labels = [entry["label"] for entry in told["entries"]]
    assert "model digits for host" in labels
    assert told["folder"] == str(folder)
    assert told["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    head, *lines, total = cli("cache", "--list").out.splitlines()
    assert head.split() == ["used", "bytes", "what"] and len(lines) == len(labels)
    assert f"{len(labels)} entries" in total
    assert cli("cache", "--clear").out.startswith("removed ")
    assert list(folder.iterdir()) == []


def test_a_limit_stays(cli: Cli, private_cache: Path) -> None:
    cli("run", DIGITS, PICTURES / "1.png")
    assert cli("cache", "--limit", "1K").out.endswith("of 1,024 bytes\n")
    assert json.loads(cli("cache", "--json").out)["entries"] == []
    assert cli("run", DIGITS, PICTURES / "1.png").code == 0
    assert json.loads(cli("cache", "--json").out)["entries"] == []  # it is larger


def test_without_a_folder(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", "off")
    assert cli("cache").out == "off: 0 entries, 0 bytes of 256.0 MiB\n"
    result = cli("cache", "--limit", "1M")
    assert (result.code, result.err) == (5, "cnncc: the cache is off: nothing is stored\n")
