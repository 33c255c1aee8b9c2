"""Why a model was compiled as it was: the reasons of each layer, as data, as text and as JSON."""

from __future__ import annotations

from .explanation import explain
from .reasons import (
    CandidateCost,
    Choice,
    Explanation,
    LayerReasons,
    Origin,
    StepReasons,
    ViewReasons,
)

__all__ = ["CandidateCost", "Choice", "Explanation", "LayerReasons", "Origin", "StepReasons", "ViewReasons", "explain"]
