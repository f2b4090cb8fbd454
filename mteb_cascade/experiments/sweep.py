"""A depth sweep: what each reranker buys over each first stage, at every depth, from one scoring pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mteb_cascade.corpora.load import load_subsets
from mteb_cascade.errors import InputError
from mteb_cascade.experiments import log
from mteb_cascade.experiments.expectations import Expectation
from mteb_cascade.experiments.first_stages import who_wins_alone
from mteb_cascade.experiments.pipelines import pipelines
from mteb_cascade.experiments.sweep_files import refuse_unwritable
from mteb_cascade.experiments.sweep_plan import planned
from mteb_cascade.experiments.sweep_tasks import Task, task_of
from mteb_cascade.experiments.sweeping import Sweep, Sweeping
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.full_corpus import refuse_in_full
from mteb_cascade.stages.stored import stored_run
from mteb_cascade.store import folder as store
from mteb_cascade.store.switch import is_on
from mteb_cascade.values.measures import Measure
from mteb_cascade.values.run import PAD, Run

MEASURES = ("success@1", "recall@1", "recall@5", "recall@10", "recall@100", "mrr@10", "ndcg@5", "ndcg@10")
"""What is told at every depth."""

OUTPUT = Path("results/sweeps")


def nobody(text: str) -> None:
    """Told what is going on by default; then what a sweep will cost, which takes a sample to tell, is left out."""


def sweep(
    cascades: Sequence[str | Stage] = (),
    *,
    first: Sequence[str | Stage | Path] = (),
    rerank: Sequence[str | Stage | Path] = (),
    tasks: Sequence[str | Path],
    depth: int = 100,
    split: str | None = None,
    subsets: Sequence[str] = (),
    measures: Sequence[str] = MEASURES,
    blend: float | None = None,
    dev: bool = True,
    dev_fraction: float | None = None,
    seed: int = 0,
    own: Path | None = None,
    full_corpus: bool = False,
    latency: int = 0,
    expect: Sequence[str] = (),
    relevance_level: int | None = None,
    allow_empty: bool = False,
    output: Path | None = OUTPUT,
    command: str = "mteb_cascade.sweep",
    dry_run: bool = False,
    say: Callable[[str], object] = nobody,
    progress: Progress = silent,
) -> list[Sweep]:
    """Sweep the depth of the last step of cascades, and of every first stage with every reranker, on every task.

    Scores go through the store: a killed sweep resumes, a deeper one pays for the new pairs only. A step that is not
    pointwise is run at a few depths.

    Args:
        cascades: Cascades by name, or objects.
        first: First stages, names, run files or objects; each is combined with each of `rerank`.
        rerank: Rerankers.
        tasks: PythonDocs, BEIR folders, or tasks of mteb.
        depth: The deepest, K.
        split: Split that is reported; a collection's default split where none is named.
        subsets: hf_subsets of a multilingual task; all by default.
        measures: Such as recall@10; the first one chooses blends.
        blend: b in score + b * score before for every pipeline; by default the spec's, and of first stages and
            rerankers the best one on development queries.
        dev: Whether development queries, where there are any, choose blends and the best depth.
        dev_fraction: Where there are none: this share of the split's queries.
        seed: Of `dev_fraction` and of all resampling.
        own: A TSV `query-id<TAB>column...` by whose columns queries are sliced, too.
        full_corpus: Add the point where the reranker scores the whole corpus.
        latency: Calls timed at each of a few depths; 0 for none.
        expect: What you expect, such as "peak(success@1) < 50": judged in results and log.
        relevance_level: A grade of at least this is relevant; by default what is known of the task.
        allow_empty: Accept documents without text.
        output: Folder of one JSON and one Parquet a pipeline and task, with LOG.md beside it; None writes nothing.
        command: How the log names this sweep.
        dry_run: Say pairs and expected time, and score nothing.
        say: Told what is going on.
        progress: Told of the pairs scored.

    Returns:
        One sweep a task and pipeline, task by task; none on a dry run.

    Raises:
        InputError: Before any scoring: a name, task, measure or expectation that is none, a depth over the corpus,
            judgements that name no query.
    """
    paired = [(name, "success@1") if name == "recall@1" else (name,) for name in measures]
    measures = tuple(dict.fromkeys(name for names in paired for name in names))
    for name in measures:
        Measure.parse(name)
    expectations = [Expectation.parse(text) for text in expect]
    unmeasured = [one for one in expectations if one.measure not in (None, *measures)]
    if unmeasured:
        raise InputError(
            f"--expect {unmeasured[0].text!r}: {unmeasured[0].measure} is not measured; add -m {unmeasured[0].measure}"
        )
    too_deep = [one for one in expectations if (one.depth or 0) > depth]
    if too_deep:
        raise InputError(
            f"--expect {too_deep[0].text!r}: the sweep ends at depth {depth}; give --depth {too_deep[0].depth}"
        )
    if depth < 1:
        raise InputError(f"depth: expected at least 1, got {depth}")
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, got {seed}")
    piped = pipelines(cascades, first, rerank, depth, blend)
    for pipeline in piped:
        pipeline.cascade.fetch_missing()
    asked = [
        task_of(str(source), collection, split, depth, dev=dev, dev_fraction=dev_fraction, seed=seed, own=own)
        for source in tasks
        for collection in load_subsets(
            source, split, subsets=subsets, relevance_level=relevance_level, allow_empty=allow_empty
        )
    ]
    if not asked:
        raise InputError("no task: name one or more with -t, such as -t PythonDocs")
    titles = [task.title for task in asked]
    twice = next((task for task in asked if titles.count(task.title) > 1), None)
    if twice:
        raise InputError(
            f"two tasks are called {twice.title}, and their results would be one file; name every task once"
        )
    work = [(task, pipeline) for task in asked for pipeline in piped]
    for task, pipeline in work if full_corpus else ():
        refuse_in_full(pipeline.last, task.queries(task.split), task.collection.corpus)
    rates: dict[str, float] = {}
    inner = [step_depth for pipeline in piped for step_depth in pipeline.cascade.depths[:-1]]
    pool = max(depth, *inner, *(Measure.parse(name).cutoff for name in measures))
    if dry_run:
        for task, pipeline in work:
            stored = stored_runs(pipeline.cascade.first, task, pool)
            say(str(planned(pipeline, task, depth, stored, full_corpus=full_corpus, rates=rates)))
        return []
    if output is not None:
        refuse_unwritable(output)
    if is_on():
        store.refuse_unwritable(store.cache_folder())
    what = ", ".join([*(pipeline.label for pipeline in piped), *(task.title for task in asked)])
    entry = None if output is None else log.begin(output.parent / "LOG.md", command, expectations, f"sweep of {what}")
    runs = {}
    for task, pipeline in work:
        key = (id(task), id(pipeline.cascade.first))
        if key not in runs:
            wanted = task.wanted(pool)
            say(f"{pipeline.cascade.first.label} retrieves {wanted:,} candidates of {task.title}")
            runs[key] = {one: retrieved(pipeline.cascade.first, task, one, wanted) for one in task.splits}
    for task, pipeline in work if say is not nobody else ():
        received = runs[id(task), id(pipeline.cascade.first)]
        say(str(planned(pipeline, task, depth, received, full_corpus=full_corpus, rates=rates)))
    found = []
    heads = distinct([pipeline.cascade.first for pipeline in piped])
    for task in asked:
        several = {label: runs[id(task), id(head)][task.split] for label, head in heads.items()}
        winners = who_wins_alone(task, several) if len(several) > 1 else None
        for pipeline in piped:
            received = runs[id(task), id(pipeline.cascade.first)]
            at_work = Sweeping(task, pipeline, received, depth, measures, full_corpus, latency, seed, progress)
            try:
                made = at_work.sweep(expectations, winners)
            except InputError:
                raise
            except ValueError as error:  # a score that is NaN, or a blend that no float32 holds
                raise InputError(f"{pipeline.title}: {error}") from None
            found.append(at_work.written(made, output))
            say(found[-1].summary)
    if entry is not None:
        log.end(entry, [(one.result, one.path) for one in found])
    return found


def distinct(stages: Sequence[Stage]) -> dict[str, Stage]:
    """{label: stage}, each stage once; two of one label, such as two inline ones of a kind, by their fingerprints."""
    once = {stage.fingerprint: stage for stage in stages}
    labels = [stage.label for stage in once.values()]
    return {
        stage.label if labels.count(stage.label) == 1 else f"{stage.label} {fingerprint[:8]}": stage
        for fingerprint, stage in once.items()
    }


def stored_runs(first: Stage, task: Task, pool: int) -> dict[str, Run]:
    """{split: what a first stage hands on}, where that is in the store for every split; else nothing."""
    first.index(task.collection.corpus, **task.queries(task.split).context)
    found = {split: stored_run(first, task.queries(split), task.wanted(pool)) for split in task.splits}
    return {split: run for split, run in found.items() if run is not None} if None not in found.values() else {}


def retrieved(first: Stage, task: Task, split: str, pool: int) -> Run:
    """What a first stage hands on."""
    queries = task.queries(split)
    first.index(task.collection.corpus, **queries.context)
    run = first.retrieved(queries, pool)
    if not (run.docs != PAD).any():
        raise InputError(
            f"{first.label} finds nothing for any of the {len(queries):,} queries of {task.collection.title}, {split}: "
            "there is nothing to rerank. Expected a first stage, or a run file, of these queries"
            + (", or --no-dev" if split == task.dev else "")
        )
    return run
