"""Graph → plan: how each layer is computed, where every tensor lies, and in which order it happens.

`make.make_plan` is the planner from top to bottom.
"""

from .options import PlanOptions

__all__ = ["PlanOptions"]
