"""cnncc compiles small convolutional networks to native code."""

from __future__ import annotations

import os
from importlib import import_module

# In an uninstalled checkout `frontends/` and `passes/` stand beside this package, not inside it.
_ROOT = os.path.dirname(os.path.realpath(__file__))
if not os.path.isdir(os.path.join(_ROOT, "passes")):
    __path__.append(os.path.dirname(_ROOT))

from .version import VERSION as __version__  # noqa: E402

TYPE_CHECKING = False  # as in `typing`, which would take longer than the rest
if TYPE_CHECKING:
    from typing import Any

    from . import learning as learn
    from .api import compile, from_torch, inspect, intermediates, interpret, load_graph
    from .errors import CnnccError
    from .folders.calls import map
    from .frontends import dsl as nn
    from .frontends.image import Image
    from .learning import fit
    from .runtime.model import Model
    from .runtime.open_model import OpenModel
    from .runtime.outputs import Outputs
    from .runtime.reload import load


__all__ = [
    "CnnccError",
    "Image",
    "Model",
    "OpenModel",
    "Outputs",
    "__version__",
    "compile",
    "fit",
    "from_torch",
    "inspect",
    "intermediates",
    "interpret",
    "learn",
    "load",
    "load_graph",
    "map",
    "nn",
]

_MODULES = {"learn": ".learning", "nn": ".frontends.dsl"}
_HOMES = {
    **dict.fromkeys(("compile", "from_torch", "inspect", "intermediates", "interpret", "load_graph"), ".api"),
    "CnnccError": ".errors",
    "Image": ".frontends.image",
    "fit": ".learning",
    "Model": ".runtime.model",
    "OpenModel": ".runtime.open_model",
    "Outputs": ".runtime.outputs",
    "load": ".runtime.reload",
    "map": ".folders.calls",
}


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import cnncc` stays light and starts no LLVM."""
    if name in _MODULES:
        return import_module(_MODULES[name], __name__)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'cnncc' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The public names, whether they are loaded yet or not, and what every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
