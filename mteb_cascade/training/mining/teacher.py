"""Labels for distillation: what a teacher says of every document of the training lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.stage_scores import scores_by, stage_of
from mteb_cascade.values.run import PAD


def taught(lists: Lists, teacher: str | None, what: str, progress: Progress = silent) -> Lists:
    """The lists with a teacher's scores as labels, through the store of pair scores.

    A document that the teacher cannot score is taken out of its list, and a query without a scored relevant document
    is taken out as a whole; where the lists mark no document as relevant, a query without any scored one.

    Args:
        lists: Q queries with L documents each.
        teacher: Name of a spec, a folder or a hub id; None leaves the lists as they are.
        what: What messages call the model that is trained.
        progress: Told of the pairs scored.

    Returns:
        `scored` lists: float32 logits as labels, 0 at pads; relevant documents first, as before.

    Raises:
        InputError: There is no such model, a score is NaN or infinite, or nothing can be scored.
    """
    if teacher is None:
        return lists
    where = f"{what}: [training] teacher"
    stage = stage_of(teacher, where)
    stage.index(lists.corpus)
    scores = scores_by(stage, lists.queries, lists.corpus, lists.docs, where, progress)
    told = scores > -np.inf
    order = np.argsort(~told, axis=1, kind="stable")
    docs = np.take_along_axis(np.where(told, lists.docs, PAD), order, axis=1).astype(np.int32)
    labels = np.take_along_axis(np.where(told, scores, 0), order, axis=1).astype(np.float32)
    relevant = np.take_along_axis(told & lists.relevant, order, axis=1)
    usable = relevant.any(axis=1) if lists.relevant.any() else told.any(axis=1)
    if not usable.any():
        raise InputError(f"{where}: {stage.label} can score no relevant document of any query; name another model")
    left = replace(lists, docs=docs, labels=labels, relevant=relevant, scored=True)
    return left if usable.all() else left.rows(np.flatnonzero(usable))
