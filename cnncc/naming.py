"""Names that leave Python: the prefix of C symbols, the prefix of macros and the stem of file names.

A model's name may be any text; different names give different symbols, macros and files, so that any models fit into
one program and one folder:

| name | symbols | macros | files | |
|---|---|---|---|---|
| `digits` | `digits_run` | `DIGITS_IMAGES` | `digits.h` | |
| `Net`, `NET` | `Net_run`, `NET_run` | `Net_IMAGES`, `net_IMAGES` | `Net.h`, `NET.h` | not the macros of `net` |
| `signal` | `signal_run` | `SIGNAL_IMAGES` | `signal_model.h` | the system has a `signal.h` |
| `my-net` | `my_net_x…_run` | `MY_NET_X…_IMAGES` | `my_net_x….h` | no identifier: with a digest of the name |
"""

from __future__ import annotations

import hashlib
import re

_LONGEST = 200  # characters; file names may have 255 bytes
_READABLE = 60  # characters of a name that stay beside its digest
_PLAIN = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")  # C++ reserves "__", C a leading "_"; we put a "_" behind
# What our own names look like, and (CRYPT_OUTPUT_SIZE, CRYPT_GENSALT_OUTPUT_SIZE) the C library's.
_SPOKEN_FOR = re.compile(r"cnncc(?:_.*)?|.*_x[0-9a-f]{16}|crypt(?:_gensalt)?", re.IGNORECASE)
_MOVED = re.compile(r"(?P<base>.+?)(?:_model)*", re.IGNORECASE)

# Of C23, C++, POSIX, glibc and GCC: every header at the top of the system's folders, which -I would hide.
_HEADERS = frozenset(
    """
    aio aliases alloca ar argp argz arm_acle arm_bf16 arm_cde arm_cmse arm_fp16 arm_mve arm_neon arm_sve assert
    byteswap cet complex cpio cpuid crypt ctype curses cxxabi devctl dirent dlfcn elf endian envz err errno error
    eti execinfo expat fcntl features fenv float fmtmsg fnmatch form fpu_control fstab fts ftw gconv gcov getopt
    glob grp gshadow iconv ieee754 ifaddrs inttypes iso646 langinfo lastlog libgen libintl libio limits link
    locale malloc math mcheck memory menu mm3dnow mm_malloc mntent monetary mqueue ncurses ndbm netdb newlib
    nl_types nss obstack omp openacc panel paths png poll printf proc_service pthread pty pwd quadmath re_comp
    reent regex regexp resolv rpc sched search semaphore setjmp sgtty shadow signal spawn stab stdalign stdarg
    stdatomic stdbit stdbool stdckdint stddef stdfix stdint stdio stdio_ext stdlib stdnoreturn string strings
    stropts syscall sysexits syslimits syslog tar term termcap termio termios tgmath thread_db threads tic time
    trace ttyent uchar ucontext ulimit unctrl unistd unwind ustat utime utmp utmpx values varargs wait wchar
    wctype wordexp xlocale zconf zlib
    """.split()
)
# Libraries whose place -L would let lib….a of these take.
_LIBRARIES = _HEADERS | set(
    "anl atomic c crypto dl g gcc gcc_eh gcc_s gomp m mvec nosys nsl rdimon rt ssl util z".split()
)


def c_identifier(name: str) -> str:
    """The prefix of a model's C symbols: the name itself if it can be, else what can be read of it and its digest.

    Different names have different prefixes (as far as 64 bits of SHA-256 differ).
    """
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST and not _SPOKEN_FOR.fullmatch(name):
        return name
    return f"{_readable(name)}_x{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def nearest(name: str) -> str:
    """A name like this one that is a prefix of symbols as it is; not all different names have different ones."""
    text = _readable(name)
    return next(text for text in (text, f"model_{text}", "model") if c_identifier(text) == text)


def _readable(name: str) -> str:
    """What C identifiers can hold of a name."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    text = text if text[:1].isalpha() else f"model_{text}"
    return text[:_READABLE].strip("_")


def macro_prefix(symbol: str) -> str:
    """The prefix of macros beside this one of symbols: capitals for small letters and the other way round; a prefix
    with both stays as it is, so that no two are the same.
    """
    return symbol.swapcase() if symbol.islower() or symbol.isupper() else symbol


def file_stem(symbol: str, *, library: bool = False) -> str:
    """How files of the model with this prefix of symbols begin, behind "lib" that of a library: `symbol`, unless it
    is the name of a header (library) of the system, or of the object with the weights of another model.
    """
    found = _MOVED.fullmatch(symbol)
    base = found["base"].lower() if found else ""
    taken = base in (_LIBRARIES if library else _HEADERS) or base.endswith(("_weights", "intrin"))
    return f"{symbol}_model" if taken else symbol
