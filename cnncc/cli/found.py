"""What `check` found as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .documents import document

if TYPE_CHECKING:
    from ..check.model import Report
    from ..faults.against import Tensor
    from ..faults.blame import Blame
    from ..sizes import Size


def check_document(
    name: str, size: Size, report: Report, blamed: Blame | None, tensors: Sequence[Tensor], error: str
) -> dict[str, Any]:
    """`ok`, `error` (the sentence), findings by where they were found, `blame`, and the tensors of another engine.

    `size` is the one of several that was checked.
    """
    return document(
        "check",
        **({"size": size} if size else {}),
        model=name,
        ok=not error,
        error=error or None,
        rewrite=report.rewrite,
        kernels=report.kernels,
        outputs=report.outputs,
        same_bits=report.same_bits,
        emulator=report.emulator or None,
        blame=blamed,
        tensors=tensors,
    )
