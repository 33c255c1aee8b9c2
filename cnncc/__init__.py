"""cnncc compiles small convolutional networks to native code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# In an uninstalled checkout `frontends/` and `passes/` stand beside this package, not inside it.
_ROOT = Path(__file__).resolve().parent
if not (_ROOT / "passes").is_dir():
    __path__.append(str(_ROOT.parent))

from .errors import CnnccError  # noqa: E402
from .version import VERSION as __version__  # noqa: E402

if TYPE_CHECKING:
    from .api import compile, interpret, load_graph
    from .frontends import dsl as nn
    from .runtime.model import Model
    from .runtime.reload import load


__all__ = ["CnnccError", "Model", "__version__", "compile", "interpret", "load", "load_graph", "nn"]

_HOMES = {
    **dict.fromkeys(("compile", "interpret", "load_graph"), ".api"),
    "Model": ".runtime.model",
    "load": ".runtime.reload",
}


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import cnncc` stays light and starts no LLVM."""
    if name == "nn":
        return import_module(".frontends.dsl", __name__)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'cnncc' has no attribute '{name}'")
