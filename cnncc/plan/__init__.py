"""Graph → plan: the kernel of each layer, the memory of each tensor, and the order of the steps.

`make.make_plan` lists the phases of planning in order.
"""

from .options import PlanOptions

__all__ = ["PlanOptions"]
