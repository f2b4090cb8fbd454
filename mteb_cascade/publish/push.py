"""A model's folder onto the hub: safetensors, configurations and card in one commit, which the spec then names."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.publish import card
from mteb_cascade.publish.commits import NEVER_FETCHED, is_read
from mteb_cascade.publish.publication import Fault, Publication
from mteb_cascade.spec import shown
from mteb_cascade.spec_edit import write_card
from mteb_cascade.stages.files import model_files
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.weights import offline


def in_the_way(publication: Publication) -> list[Fault]:
    """The faults that an upload does not mend: all but a missing commit, and a date that the commit gives."""
    own = shown(publication.spec.path)
    mended = (f"{own} [card] commit", f"{own} [card] release_date")
    return [
        one
        for one in publication.faults
        if not (one.where == mended[0] or str(one).startswith(f"{mended[1]}: missing"))
    ]


def uploaded_files(publication: Publication) -> list[Path]:
    """The files that go to the hub, the card apart: those of the model's folder that loading reads.

    Raises:
        InputError: The model has no folder of its own with weights in it, or one with pickled weights, or links out.
    """
    spec, stage = publication.spec, publication.stage
    if not isinstance(stage, ModelStage) or Path(stage.model) != spec.weights:
        raise InputError(f"--push: {spec.short_name} has no weights of its own; push the models that it is made of")
    files = model_files(spec.weights)
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(
            f"--push: no weights in {shown(spec.weights)}; `mteb-cascade train {spec.short_name}` makes them"
        )
    for path in files:
        if not is_read(path.relative_to(spec.weights).as_posix()) or path.suffix == ".py":
            raise InputError(
                f"--push: {shown(path)} would be uploaded, and it is neither safetensors nor configuration "
                f"({', '.join(NEVER_FETCHED)}, *.py); remove it"
            )
        if not path.resolve().is_relative_to(spec.weights.resolve()):
            raise InputError(f"--push: {shown(path)} is a link to a file outside the model's folder; put a copy there")
    return files


def pushed(publication: Publication) -> str:
    """Upload the model and name the commit in its spec.

    Returns:
        The commit.

    Raises:
        InputError: Nothing may or can be uploaded.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    spec, files = publication.spec, uploaded_files(publication)
    if offline():
        raise InputError("--push: HF_HUB_OFFLINE is set; unset it")
    with TemporaryDirectory() as beside:
        told = {"README.md": card.write(publication, Path(beside))}
        told |= {path.relative_to(spec.weights).as_posix(): path for path in files}
        adds = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in told.items()]
        try:
            api = HfApi()
            api.create_repo(spec.name, repo_type="model", exist_ok=True)
            commit = api.create_commit(spec.name, adds, commit_message=f"{spec.short_name} by mteb-cascade").oid
        except Exception as error:  # The errors of a connection have no class in common.
            raise InputError(
                f"--push: the hub did not take {spec.name} ({in_one_line(error)}); log in with `hf auth login`, as "
                "a member of that organisation"
            ) from None
    write_card(spec, "commit", commit)
    return commit
