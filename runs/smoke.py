"""A folder in which runs/msmarco.sh runs through in minutes: MS MARCO samples, tiny random models, specs as they are.

`SMOKE=1 bash runs/msmarco.sh` calls it. Bases become tiny random ones with a tokenizer trained on the sample, the
collection becomes the sample, and of the other keys only those of `SHRUNK` change: some hundred queries are not enough.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import tomlkit

BASES = {
    "google-bert/bert-base-cased": "bases/bert",
    "google-bert/bert-base-uncased": "bases/bert",
    "google-t5/t5-base": "bases/t5",
    "google/t5gemma-s-s-prefixlm": "bases/t5gemma",
}
COLLECTIONS = {"MSMARCO": "data/MSMARCO"}
SHRUNK: dict[str, Any] = {
    "held_out": 20,
    "batch_size": 8,
    "micro_batch": 8,
    "max_steps": 4,
    "mining.depth": 20,
    "evaluation.queries": 20,
    "evaluation.every": 2,
}
"""Keys of [training] that must shrink with the sample; `max_steps` stands instead of `epochs`."""

DOCUMENTS = 2_000
"""Judged passages of dl20 in the sample's corpus, beside all passages of the training samples."""

WIDTH = 32


def main(folder: Path, specs: Path, source: Path) -> None:
    """Make or renew the folder; what is trained in it stays.

    Args:
        folder: Where models/, data/ and bases/ are put.
        specs: The folder of the specs of the study.
        source: The folder of `msmarco-train-sample` and `dl20`.
    """
    for wanted in (source / "msmarco-train-sample", source / "dl20"):
        if not wanted.is_dir():
            sys.exit(f"{wanted}: there is no such folder; MTEB_CASCADE_TEST_DATA names the folder of the samples")
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for path in sorted(specs.glob("msmarco-*.toml")):
        write(folder / "models" / path.name, shrunk(path.read_text(encoding="utf-8")))
    if not (folder / "data").is_dir():
        collections(folder / ".data", source)
        (folder / ".data").rename(folder / "data")
    if not (folder / "bases").is_dir():
        bases(folder / ".bases", folder / "data" / "MSMARCO")
        (folder / ".bases").rename(folder / "bases")


def write(path: Path, text: str) -> None:
    """Write where something changes."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def shrunk(text: str) -> str:
    """A spec with another base and collection, and the keys of `SHRUNK` that it has."""
    document = tomlkit.parse(text)
    training: Any = document.get("training")
    if training is None:
        return text
    training["base"] = BASES.get(training["base"], training["base"])
    training["collection"] = COLLECTIONS[training["collection"]]
    if "epochs" in training:
        del training["epochs"]
        training["max_steps"] = 0
    for key, value in SHRUNK.items():
        table, _, inner = key.rpartition(".")
        where = training.get(table, {}) if table else training
        if inner in where:
            where[inner] = value
    return tomlkit.dumps(document)


def collections(folder: Path, source: Path) -> None:
    """BEIR folders over one corpus: MSMARCO to learn from, MSMARCO-dev, and dl20's queries in two."""
    shutil.rmtree(folder, ignore_errors=True)
    corpus: dict[str, str] = {}
    rows: dict[str, str] = {}
    queries: dict[str, tuple[str, dict[str, int]]] = {}

    def row_of(text: str) -> str:
        if text not in rows:
            rows[text] = f"s{len(rows)}"
            corpus[rows[text]] = text
        return rows[text]

    triplets = lines(source / "msmarco-train-sample" / "triplets.jsonl")
    for one in (*triplets, *lines(source / "msmarco-train-sample" / "flagembedding_msmarco.jsonl")):
        positives, negatives = (one[key] if isinstance(one[key], list) else [one[key]] for key in ("pos", "neg"))
        _, grades = queries.setdefault(one["query"], (f"t{len(queries)}", {}))
        grades |= {row_of(text): 1 for text in positives}
        for text in negatives:
            row_of(text)
    judged: dict[str, dict[str, int]] = {}
    for line in (source / "dl20" / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    wanted = sorted({document for grades in judged.values() for document in grades})[:DOCUMENTS]
    corpus |= {one["_id"]: one["text"] for one in lines(source / "dl20" / "corpus.jsonl") if one["_id"] in set(wanted)}
    asked = {one["_id"]: one["text"] for one in lines(source / "dl20" / "queries.jsonl")}
    train = {name: (text, grades) for text, (name, grades) in queries.items()}
    test = {
        query: (asked[query], held)
        for query, grades in judged.items()
        if (held := {document: grade for document, grade in grades.items() if document in corpus})
    }
    half = sorted(test)[: len(test) // 2]
    for name, split, part, level in (
        ("MSMARCO", "train", train, 1),
        ("MSMARCO-dev", "dev", test, 2),
        ("TRECDL2019", "test", {query: test[query] for query in half}, 2),
        ("TRECDL2020", "test", {query: test[query] for query in test if query not in half}, 2),
    ):
        beir(folder / name, split, corpus, part, level)


def beir(
    folder: Path, split: str, corpus: dict[str, str], queries: dict[str, tuple[str, dict[str, int]]], level: int
) -> None:
    """One BEIR folder with one split."""
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "title": "", "text": text} for name, text in corpus.items()]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    asked = [{"_id": name, "text": text} for name, (text, _) in queries.items()]
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in asked), encoding="utf-8")
    judged = [f"{name}\t{doc}\t{grade}\n" for name, (_, grades) in queries.items() for doc, grade in grades.items()]
    text = "query-id\tcorpus-id\tscore\n" + "".join(judged)
    (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
    (folder / "task.toml").write_text(f'relevance_level = {level}\nsplits = ["{split}"]\n', encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def bases(folder: Path, collection: Path) -> None:
    """One tiny random checkpoint of each architecture, with one tokenizer, trained on the sample."""
    import torch
    from transformers import (
        AutoTokenizer,
        T5Config,
        T5ForConditionalGeneration,
        T5GemmaConfig,
        T5GemmaForConditionalGeneration,
    )

    from mteb_cascade.corpora.beir import load
    from mteb_cascade.training.networks.scratch import scratch_base
    from mteb_cascade.training.options import Scratch, Training

    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(0)
    tiny = Scratch(vocabulary=1000, dim=WIDTH, layers=1, heads=2, feed_forward=64, positions=256)
    options = Training(base="scratch", loss="softmax", scratch=tiny)
    scratch_base(options, load(collection).corpus, folder / "bert", "runs/smoke.py")
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.sep_token_id}
    sizes = {"vocab_size": len(tokenizer), "num_heads": 2, **special}
    side = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16,
        "max_position_embeddings": 256, "bos_token_id": tokenizer.cls_token_id, **special,
    }  # fmt: skip
    networks = {
        "t5": T5ForConditionalGeneration(T5Config(d_model=WIDTH, d_kv=16, d_ff=64, num_layers=1, **sizes)),
        "t5gemma": T5GemmaForConditionalGeneration(
            T5GemmaConfig(encoder=dict(side), decoder=dict(side), vocab_size=len(tokenizer), **special)
        ),
    }
    for name, network in networks.items():
        network.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
