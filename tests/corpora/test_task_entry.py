from __future__ import annotations

import pytest

from mteb_cascade.corpora.task_entry import TaskEntry, is_beir
from mteb_cascade.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder as far as its names go: entries do not look into the files."""
    made = tmp_path / "my-papers"
    (made / "qrels").mkdir(parents=True)
    (made / "corpus.jsonl").touch()
    for split in ("train", "dev", "test"):
        (made / "qrels" / f"{split}.tsv").touch()
    return made


def test_without_a_file(folder):
    assert TaskEntry.of(folder) == TaskEntry(folder, "my-papers", 1, ("test",), ("eng-Latn",), False)


def test_with_a_file(folder):
    (folder / "task.toml").write_text(
        'name = "Papers"\nrelevance_level = 2\nsplits = ["dev"]\nlanguages = ["deu-Latn"]\n'
        "ignore_identical_ids = true\n"
    )
    assert TaskEntry.of(folder) == TaskEntry(folder, "Papers", 2, ("dev",), ("deu-Latn",), True)


def test_a_published_task(folder):
    (folder / "task.toml").write_text('published = "SciFact"\n')
    assert TaskEntry.of(folder).published == "SciFact"
    assert TaskEntry.of(folder).name == "my-papers"


@pytest.mark.parametrize(
    ("held", "expected"),
    [(["dev", "dl19", "dl20", "train"], ("dl19", "dl20")), (["dev", "train"], ("dev", "train")), (["dev"], ("dev",))],
)
def test_default_splits(folder, held, expected):
    for path in (folder / "qrels").iterdir():
        path.unlink()
    for split in held:
        (folder / "qrels" / f"{split}.tsv").touch()
    assert TaskEntry.of(folder).splits == expected


def test_every_mistake_of_a_file_is_named_at_once(folder):
    (folder / "task.toml").write_text('nam = "x"\nrelevance_level = "2"\nignore_identical_ids = 1\n')
    with pytest.raises(InputError) as error:
        TaskEntry.of(folder)
    lines = str(error.value).splitlines()
    assert len(lines) == 3 and all(line.startswith(str(folder / "task.toml")) for line in lines)
    assert "unknown key 'nam'. Known: " in lines[0] and "Did you mean 'name'?" in lines[0]
    assert "relevance_level: expected a valid integer, got '2'" in lines[1]
    assert "ignore_identical_ids: expected a valid boolean, got 1" in lines[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('splits = ["tset"]', "splits: there is no qrels/tset.tsv. Known: dev, test, train. Did you mean 'test'?"),
        ("splits = []", "splits: expected one or more"),
        ("languages = []", "languages: expected one or more"),
        ('name = "../up"', "name: expected letters, digits"),
        ('name = "a/b"', "name: expected letters, digits"),
        ("relevance_level = 0", "relevance_level: expected at least 1, got 0"),
        ('published = "a/b"', "published: expected the name of a task, such as SciFact, got 'a/b'"),
        ("name = ", "is not valid TOML"),
    ],
)
def test_mistakes(folder, text, said):
    (folder / "task.toml").write_text(text)
    with pytest.raises(InputError) as error:
        TaskEntry.of(folder)
    assert str(folder / "task.toml") in str(error.value) and said in str(error.value)


def test_no_beir_folder(tmp_path, folder):
    assert is_beir(folder) and not is_beir(tmp_path)
    with pytest.raises(InputError, match="is no BEIR folder"):
        TaskEntry.of(tmp_path)
