"""What `check` found as JSON: one object on one line for each size."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..check.model import Report
    from ..faults.against import Tensor
    from ..faults.blame import Blame


def as_json(name: str, report: Report, blamed: Blame | None, tensors: Sequence[Tensor], error: str) -> str:
    """`ok`, `error` (the sentence), findings by where they were found, `blame`, and the tensors of another engine.

    Numbers that JSON does not have are texts: "inf", "-inf", "nan".
    """
    found = {
        "model": name,
        "ok": not error,
        "error": error or None,
        **{part: [asdict(each) for each in getattr(report, part)] for part in ("rewrite", "kernels", "outputs")},
        "same_bits": report.same_bits,
        "emulator": report.emulator or None,
        "blame": asdict(blamed) if blamed else None,
        "tensors": [asdict(tensor) for tensor in tensors],
    }
    return json.dumps(_plain(found), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
