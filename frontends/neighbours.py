"""Importing modules from the folder of a script as a new process would: from the current content of their files."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from types import CodeType

_OURS = __name__.partition(".")[0]


@contextlib.contextmanager
def importing_from(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Modules in the folder can be imported inside the block and leave no trace after it.

    Modules that the process imported before are not used. Neither is bytecode, since its test for a changed source
    has a resolution of a second. Packages with extension modules cannot be imported twice, so they stay as they are.
    """
    home, path = os.path.realpath(folder), list(sys.path)
    loaded = {name for name in list(sys.modules) if "." not in name} | {_OURS, "__main__"}
    replaced = loaded & (_packages_in(home, loaded) | _namesakes(home))
    replaced -= _packages_with_extensions() if replaced else set()
    hidden = {name: module for name, module in list(sys.modules.items()) if replaced and _package(name) in replaced}
    finder = _path_hook(home)
    _forget(set(hidden), home)
    sys.path.insert(0, home)
    sys.path_hooks.insert(0, finder)
    try:
        yield
    finally:
        sys.path[:] = path
        sys.path_hooks.remove(finder)
        new = _packages_in(home, {name for name in list(sys.modules) if "." not in name} - (loaded - replaced))
        _forget({name for name in list(sys.modules) if new and _package(name) in new}, home)
        sys.modules.update(hidden)


def _forget(names: set[str], home: str) -> None:
    """Drop modules, and the import system's cache of the folder."""
    for name in names:
        sys.modules.pop(name, None)
    for path in list(sys.path_importer_cache):
        if _is_inside(path, home):
            sys.path_importer_cache.pop(path, None)


def _package(name: str) -> str:
    return name.partition(".")[0]


def _packages_in(home: str, names: set[str]) -> set[str]:
    """Those of these packages and modules that were imported from this folder, except cnncc's."""
    real = functools.cache(os.path.realpath)
    places = {name: _place(sys.modules.get(name)) for name in names - {_OURS, "__main__"}}
    return {name for name, place in places.items() if place and real(place) == home}


def _namesakes(home: str) -> set[str]:
    """Modules and packages of this folder, except those with the name of a standard module or of cnncc."""
    with contextlib.suppress(OSError), os.scandir(home) as entries:
        found = {
            entry.name.removesuffix(".py") for entry in entries if entry.name.endswith(".py") or _is_package(entry)
        }
        return found - sys.stdlib_module_names - {_OURS, "__main__"}
    return set()


def _is_package(entry: os.DirEntry[str]) -> bool:
    return entry.name.isidentifier() and os.path.exists(os.path.join(entry.path, "__init__.py"))


def _place(module: object) -> str | None:
    """The folder of a module or package."""
    spec = getattr(module, "__spec__", None)
    folders = list(getattr(spec, "submodule_search_locations", None) or ())
    file = folders[0] if folders else getattr(spec, "origin", None) if getattr(spec, "has_location", False) else None
    return os.path.dirname(file) if isinstance(file, str) else None


def _packages_with_extensions() -> set[str]:
    loaders = {name: getattr(getattr(m, "__spec__", None), "loader", None) for name, m in list(sys.modules.items())}
    return {_package(name) for name, loader in loaders.items() if isinstance(loader, ExtensionFileLoader)}


def _is_inside(path: object, home: str) -> bool:
    """Whether a path is the folder, or that of a package below it."""
    if not isinstance(path, str) or not path.startswith(home):
        return False
    rest = path[len(home) :]
    return not rest or (rest.startswith(os.sep) and all(part.isidentifier() for part in rest[1:].split(os.sep)))


def _path_hook(home: str) -> Callable[[str], FileFinder]:
    """A path hook that finds modules in the folder and its packages, as sources or extension modules."""
    make = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromSource, SOURCE_SUFFIXES))

    def finder(path: str) -> FileFinder:
        if not _is_inside(path, home):
            raise ImportError(f"'{path}' is not beside the script", path=path)
        return make(path)  # type: ignore[return-value]

    return finder


class _FromSource(SourceFileLoader):
    """A loader that neither reads nor writes bytecode."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)
