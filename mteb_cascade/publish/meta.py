"""The ModelMeta that is published: spec, weights and commits together, and what a reviewer would find wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError
from mteb_cascade.publish.card_faults import card_faults
from mteb_cascade.publish.commits import Commit, commit_of, differences, how_to_get, is_commit, snapshot_commit
from mteb_cascade.publish.publication import Fault
from mteb_cascade.spec import Spec, shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.files import digests
from mteb_cascade.stages.model_meta import LEXICAL, described, leaves
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.unfetched import Unfetched
from mteb_cascade.stages.weight_facts import lacks_head
from mteb_cascade.stages.weights import expect_kind, local_folder

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

LOCAL = "local/"
"""The organisation of a spec that names none."""


@dataclass
class Reviewed:
    """A ModelMeta in the making.

    Args:
        meta: As far as it is known.
        faults: What is wrong with it.
        commits: {fingerprint: commit} of the stages whose weights are on the hub.
    """

    meta: ModelMeta
    faults: list[Fault] = field(default_factory=list)
    commits: dict[str, Commit] = field(default_factory=dict)


def reviewed(spec: Spec, stage: Stage, commit: str | None, files: Mapping[str, Mapping[str, str]]) -> Reviewed:
    """The ModelMeta to publish, and all of its faults.

    Args:
        spec: The model's.
        stage: The model; its weights need not be here.
        commit: The commit of its own weights, instead of the card's.
        files: {fingerprint: {file: SHA-256}} that results name; beside those on the disk.
    """
    meta, mistakes = described(stage)
    found = Reviewed(meta)
    where = shown(spec.path)
    if spec.name.startswith(LOCAL):
        name = f'name = "your-organisation/{spec.short_name}"'
        found.faults.append(Fault(f"{where} name", f"'{spec.name}' has no organisation", f"Write {name} in it"))
    if stage.kind == "mteb":
        registered = stage.described()["model"]
        remedy = f"Run `mteb run -m {registered}`: its results are filed under its own name"
        found.faults.append(Fault(f"{where} kind", f"'{registered}' is a model of mteb's own registry", remedy))
    for one in {part.fingerprint: part for part in leaves(stage)}.values():
        review_leaf(one, commit if one is stage else None, files.get(one.fingerprint), found)
    own = found.commits.get(stage.fingerprint)
    beside = {key: {"repository": one.repository, "commit": one.sha} for key, one in found.commits.items()}
    changes: dict[str, Any] = {"loader_kwargs": {"pipeline": with_beside(pipeline_of(stage), beside)}}
    if own is not None:
        changes |= {"revision": own.sha, "reference": meta.reference or f"https://huggingface.co/{own.repository}"}
        changes |= {"release_date": meta.release_date or own.date}
    found.meta = meta.model_copy(update=changes)
    found.faults += card_faults(spec, stage, found.meta, mistakes)
    return found


def review_leaf(leaf: Stage, commit: str | None, files: Mapping[str, str] | None, found: Reviewed) -> None:
    """Find the commit of one stage's weights, and what is wrong with either."""
    where = leaf.label if leaf.spec is None else shown(leaf.spec.path)
    if leaf.kind in LEXICAL or leaf.kind == "mteb":
        return  # No weights; or those that mteb's registry names.
    if isinstance(leaf, Unfetched):
        found.faults.append(
            Fault(where, "its weights are not here", f"Fetch them with `mteb-cascade prefetch {where}`")
        )
        return
    if not isinstance(leaf, ModelStage):
        what = f"a stage of kind '{leaf.kind}' exists on this disk only"
        found.faults.append(Fault(where, what, "Publish a cascade of models that others can load"))
        return
    folder = local_folder(leaf.model, leaf.revision)
    if not leaf.files() or folder is None:
        remedy = f"Train it with `mteb-cascade train {leaf.label}`" if leaf.spec else "Fetch it"
        found.faults.append(Fault(where, "its weights are not here", remedy))
        return
    try:
        expect_kind(folder, leaf.kind, where)
    except InputError as error:
        found.faults.append(Fault(where, str(error).removeprefix(f"{where}: "), "Publish a model that loads"))
    if leaf.untrained or (leaf.kind == "cross-encoder" and lacks_head(folder)):
        what = "its weights, or their head, were never trained, so its results are a baseline's"
        found.faults.append(Fault(where, what, "Train it, or leave it unpublished"))
    place = snapshot_commit(folder)
    if place is not None and commit is not None:
        place = (place[0], commit)
    if place is None:
        sha = commit or (leaf.spec.card.get("commit") if leaf.spec else None)
        repository = leaf.spec.name if leaf.spec else leaf.name
        if repository.startswith(LOCAL):
            what = "its weights are on no hub: it has no organisation"
            found.faults.append(Fault(f"{where} [card] commit", what, "Name it, and upload it with --push"))
            return
        if not is_commit(sha):
            what = "no commit of the hub is named" if sha is None else f"{sha!r} is no commit of 40 hexadecimal digits"
            remedy = f"For {repository} {how_to_get(repository)}"
            found.faults.append(Fault(f"{where} [card] commit", what, remedy))
            return
        place = (repository, str(sha))
    try:
        # The result's fingerprint is that of the files here, so those count too: a record can be edited.
        found.commits[leaf.fingerprint] = compared(*place, dict(digests(leaf.files())), files or {})
    except InputError as error:
        what, _, remedy = str(error).rpartition(": ")
        found.faults.append(Fault(f"{where} [card] commit", what, remedy))


def compared(repository: str, sha: str, *several: Mapping[str, str]) -> Commit:
    """The commit, which has exactly the files of each of these that names any.

    Raises:
        InputError: It has others, or cannot be looked at.
    """
    commit = commit_of(repository, sha)
    if wrong := dict.fromkeys(text for files in several if files for text in differences(files, commit)):
        raise InputError(
            f"{repository} at {sha} is not the model of these results ({'; '.join(wrong)}): upload the folder with "
            "--push, or run the results again with the weights of that commit"
        )
    return commit


def pipeline_of(stage: Stage) -> dict[str, Any]:
    """What is scored with, the stage's own fingerprint in it: it tells the results apart after they were relabelled."""
    return {"fingerprint": stage.fingerprint, **stage.described()}


def with_beside(pipeline: Any, beside: Mapping[str, Mapping[str, str]]) -> Any:
    """A pipeline with more keys in each stage: those that `beside` has for its fingerprint."""
    if isinstance(pipeline, list):
        return [with_beside(one, beside) for one in pipeline]
    if not isinstance(pipeline, dict):
        return pipeline
    more = beside.get(str(pipeline.get("fingerprint")), {})
    return {key: with_beside(value, beside) for key, value in pipeline.items()} | dict(more)
