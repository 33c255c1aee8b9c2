"""What build systems of other programs read: a file for CMake's `find_package`, and one for pkg-config.

Both name the files beside them, so they are right wherever the folder is moved, and the same in every folder.
"""

from __future__ import annotations

from string import Template

_CMAKE = Template("""\
# $title: find_package($name CONFIG) gives the library $name::$name.
if(NOT TARGET $name::$name)
    add_library($name::$name STATIC IMPORTED)
    set_target_properties($name::$name PROPERTIES
        IMPORTED_LOCATION "$${CMAKE_CURRENT_LIST_DIR}/$library"
        IMPORTED_LINK_INTERFACE_LANGUAGES "C"
        INTERFACE_INCLUDE_DIRECTORIES "$${CMAKE_CURRENT_LIST_DIR}")
endif()
""")

_PKG_CONFIG = Template("""\
Name: $name
Description: $title
Version: $version
Cflags: -I$${pcfiledir}
Libs: $${pcfiledir}/$library
""")


def cmake(name: str, title: str, library: str) -> str:
    """The text of `NAME-config.cmake` for a static library in the same folder."""
    return _CMAKE.substitute(name=name, title=title, library=library)


def pkg_config(name: str, title: str, library: str, version: str) -> str:
    """The text of `NAME.pc`. Paths with spaces are beyond pkg-config's flags."""
    return _PKG_CONFIG.substitute(name=name, title=title, library=library, version=version)
