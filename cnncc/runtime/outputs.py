"""What a call of a model with several outputs returns: a tuple whose items also have names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, SupportsIndex, overload

from ..errors import UsageError
from ..types import Array

_KINDS = 256


class Outputs(tuple[Array, ...]):
    """The results of a call, in the order of the model's outputs and by their names.

    It is a tuple, which can be unpacked as any other, and `result["scores"]` is the result of that name. `dict(result)`
    has all of them by name. Names are no attributes: those of an ONNX file may be any text, and a tuple has attributes
    of its own. Raises UsageError for an unknown name.
    """

    __slots__ = ()
    names: ClassVar[tuple[str, ...]] = ()
    __hash__ = None  # type: ignore[assignment]  # as its arrays; Python 3.14 keeps a tuple's hash, which native code makes 0

    def keys(self) -> tuple[str, ...]:
        """The names, in order; so `dict(result)` and `f(**result)` know them."""
        return self.names

    @overload
    def __getitem__(self, key: str, /) -> Array: ...

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Array: ...

    @overload
    def __getitem__(self, key: slice, /) -> tuple[Array, ...]: ...

    def __getitem__(self, key: Any, /) -> Any:
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        if key not in self.names:
            raise UsageError(f"there is no output '{key}'; the outputs are {', '.join(map(repr, self.names))}")
        return tuple.__getitem__(self, self.names.index(key))

    def __repr__(self) -> str:
        return f"Outputs({', '.join(f'{name}={array!r}' for name, array in zip(self.names, self, strict=True))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.names, tuple(self))


@lru_cache(_KINDS)
def outputs_type(names: tuple[str, ...]) -> type[Outputs]:
    """The type of results of these names.

    It has the names, so that an object is no larger than a tuple and native code makes it as one.
    """
    return type("Outputs", (Outputs,), {"__slots__": (), "names": names, "__module__": __name__})


def given(names: tuple[str, ...], out: Any) -> Outputs:
    """The results that a call wrote to its `out=`: an array, several in order, or a mapping by name."""
    arrays = [out[name] for name in names] if isinstance(out, Mapping) else out
    return named(names, arrays if isinstance(arrays, list | tuple) else (arrays,))


def named(names: tuple[str, ...], arrays: Iterable[Array]) -> Outputs:
    """These arrays under these names."""
    return outputs_type(names)(arrays)
