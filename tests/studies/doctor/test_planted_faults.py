"""The whole examination finds each planted fault and nothing else, and is silent on sound models, a real one too."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path

import pytest
from planted import FAULTY, Coverage, Sigmoid, documents, queries

from mteb_cascade.spec import read
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.studies.doctor import checks
from mteb_cascade.studies.doctor.examine import CHECKS, examine


def folder_of(folder: Path, texts: dict[str, str], asked: dict[str, str], grades: list[tuple[str, str, int]]) -> Path:
    """A BEIR folder with one split."""
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", texts), ("queries", asked)):
        lines = [json.dumps({"_id": row, "text": text}) for row, text in rows.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    judged = "".join(f"{query}\t{doc}\t{grade}\n" for query, doc, grade in grades)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """The collection of planted.py, its near misses judged to be none."""
    asked = {f"q{row}": text for row, text in enumerate(queries())}
    texts = {f"d{row}": text for row, text in enumerate(documents())}
    grades = [(query, doc, int(doc == f"d{query[1:]}")) for query in asked for doc in texts]
    return folder_of(tmp_path / "words", texts, asked, grades)


@pytest.fixture(scope="module")
def facts(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first words of the answers to 22 queries of SciFact, and those of a few other abstracts."""
    whole = shared_data / "scifact"
    rows = [line.split("\t") for line in (whole / "qrels" / "test.tsv").read_text().splitlines()[1:]]
    chosen = set(list(dict.fromkeys(query for query, _, _ in rows))[:22])
    grades = [(query, doc, 1) for query, doc, _ in rows if query in chosen]
    asked, texts, wanted = {}, {}, {doc for _, doc, _ in grades}
    for line in (whole / "queries.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["_id"] in chosen:
            asked[row["_id"]] = row["text"]
    for line in (whole / "corpus.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["_id"] in wanted or len(texts) < 22:
            texts[row["_id"]] = " ".join(f"{row['title']} {row['text']}".split()[:12])
    return folder_of(tmp_path_factory.mktemp("facts") / "facts", texts, asked, grades)


def failures(stage, folder: Path) -> set[tuple[str, str]]:
    """(check, label of the stage) of what fails, all of it with evidence and remedy; nothing breaks on the way."""
    found = examine(stage, folder).findings
    assert not [one for one in found if "could not be run" in one.evidence]
    failed = [one for one in found if one.verdict == "fail"]
    assert all(one.evidence and one.remedy for one in failed)
    return {(one.check, one.stage) for one in failed}


PLANTED = {**FAULTY, Sigmoid: "ties at rank 1"}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_fault_of_scores(words: Path, kind: type[Coverage]):
    assert failures(Cascade(BM25(), Step(kind(name="a/b"), 6)), words) == {(PLANTED[kind], "a/b")}
    assert failures(kind(name="a/b"), words) == {(PLANTED[kind], "a/b")}


def test_sound_models(words: Path):
    assert failures(Cascade(BM25(), Step(Coverage(), 6)), words) == set()


def test_a_random_head(words: Path, tiny_cross_encoder: Path):
    found = failures(CrossEncoder(model=str(tiny_cross_encoder), name="a/b"), words)
    assert ("random head", "a/b") in found


def test_a_missing_pad_token(words: Path, tiny_tokenizer, tmp_path: Path):
    """The model is random besides."""
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    folder = str(tmp_path / "decoder")
    PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer.backend_tokenizer, model_max_length=64, unk_token="[UNK]", eos_token="[SEP]"
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=None, initializer_range=1.0,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    assert ("pad token", "a/b") in failures(CrossEncoder(model=folder, name="a/b"), words)


def test_a_test_query_in_training(words: Path, write_spec):
    asked = queries()
    for query, expected in ((asked[3], {("test queries in training", "mine")}), ("a query of its own", set())):
        Path("pairs.tsv").write_text(f"{query}\tsome answer\n")
        spec = read(
            write_spec(
                "mine", 'kind = "bm25"\n[training]\nbase = "scratch"\nloss = "contrastive"\ndata = "pairs.tsv"\n'
            )
        )
        assert failures(BM25(spec=spec), words) == expected


def test_a_query_prompt_on_documents(words: Path, tiny_bi_encoder: Path):
    """The model is random besides."""
    stage = BiEncoder(model=str(tiny_bi_encoder), name="a/b", document_prompt="query: ")
    assert ("prompts", "a/b") in failures(stage, words)


@pytest.mark.parametrize(("options", "check"), [({}, None), ({"max_length": 8}, "truncation")])
def test_a_real_model_and_its_spec(facts: Path, minilm: Path, options: dict, check: str | None):
    stage = BiEncoder(model=str(minilm), dtype="float32", device="cpu", name="a/b", **options)
    whole = stage if options else Cascade(BM25(), Step(stage, 10))
    assert failures(whole, facts) == ({(check, "a/b")} if check else set())


def test_every_check_is_run():
    modules = {f"{checks.__name__}.{one.name}" for one in pkgutil.iter_modules(checks.__path__)}
    assert sorted(check.__module__ for check in CHECKS) == sorted(modules)
