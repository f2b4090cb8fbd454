"""Trainings in processes of their own: some are killed while they save, some share a batch between two ranks.

Forked from one that has imported all that takes long and computed nothing. Each leaves its weights in a folder.

    python trainer.py BI_ENCODER CROSS_ENCODER FOLDER
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from careful_runs import network_of, trainer
from safetensors.torch import save_file
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer import losses

from mteb_cascade.training.losses.list_loss import ListLoss
from mteb_cascade.training.steps import checkpoints, ranks

# Where pytest collects this file for doctests there are no arguments.
BI_ENCODER, CROSS_ENCODER, FOLDER = map(Path, sys.argv[1:] if __name__ == "__main__" else [""] * 3)
MODELS = {"bi-encoder": BI_ENCODER, "cross-encoder": CROSS_ENCODER}


def contrastive(network: Any) -> Any:
    """Over the documents of all ranks."""
    return losses.CachedMultipleNegativesRankingLoss(
        network, mini_batch_size=4, gather_across_devices=ranks.world_size() > 1
    )


def softmax(network: Any) -> Any:
    """Over lists."""
    return ListLoss(network, "softmax", mini_batch_size=8)


def separate(network: Any) -> Any:
    """Of an encoder each for queries and documents, in several passes."""
    return losses.TripletLoss(network)


LOSSES = {"bi-encoder": ("tuples", contrastive), "cross-encoder": ("lists", softmax)}


def run(name: str, kind: str, loss: Callable[[Any], Any], dropout: float = 0.1, **given: Any) -> None:
    """Train; the first rank writes what was learned to NAME.safetensors."""
    network = network_of(kind, MODELS[kind], dropout)
    if loss is separate:
        encoders = [network_of(kind, MODELS[kind], dropout) for _ in range(2)]
        router = Router.for_query_document(list(encoders[0]), list(encoders[1]))
        network = type(network)(modules=[router], device="cpu")
        given["router_mapping"] = {"query": "query", "positive": "document", "negative": "document"}
    last = max((FOLDER / name).glob("checkpoint-*"), default=None)
    trainer(kind, network, loss, FOLDER / name, batch_size=8 // ranks.world_size(), **given).train(last and str(last))
    if ranks.is_main():
        save_file({key: tensor.clone() for key, tensor in network.state_dict().items()}, FOLDER / f"{name}.safetensors")


def forked(work: Callable[[], None], **variables: str) -> int:
    """The process that does it."""
    child = os.fork()
    if not child:
        os.environ |= variables
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def ended(*children: int) -> list[int]:
    """How they ended: 0, 1, or minus the signal's number."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def killed_while_saving(kind: str) -> None:
    """Undisturbed; killed amid its third checkpoint, and run again."""
    form, loss = LOSSES[kind]
    given = {"form": form, "optim": "adamw_torch"}
    saving = {**given, "save_strategy": "steps", "save_steps": 2}
    whole = forked(lambda: run(f"{kind}-whole", kind, loss, **given))

    def dies() -> None:
        seal = checkpoints.seal

        def at_the_third(checkpoint: Path) -> None:
            if checkpoint.name == "checkpoint-6":
                (checkpoint / "optimizer.pt").write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            seal(checkpoint)

        checkpoints.seal = at_the_third
        run(kind, kind, loss, **saving)

    codes = ended(forked(dies), whole)
    left = sorted(path.name for path in (FOLDER / kind).iterdir())
    codes += ended(forked(lambda: run(kind, kind, loss, **saving)))
    print(kind, *codes, *left, sep="\t")


def shared(name: str, kind: str, form: str, loss: Callable[[Any], Any]) -> None:
    """One rank with a batch of 8, and two with 4 each."""
    # Gradients as they are: cut to a norm, it would not show if they were twice too large.
    given: dict[str, Any] = {"form": form, "dropout": 0, "micro_batch": 5, "max_grad_norm": 0, "learning_rate": 1e-3}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    codes = ended(forked(lambda: run(f"{name}-1", kind, loss, **given)))
    two = [
        forked(lambda: run(f"{name}-2", kind, loss, **given), RANK=str(rank), LOCAL_RANK=str(rank), **group)
        for rank in range(2)
    ]
    print(name, *codes, *ended(*two), sep="\t")


if __name__ == "__main__":
    for kind in LOSSES:
        killed_while_saving(kind)
    shared("contrastive", "bi-encoder", "tuples", contrastive)
    shared("softmax", "cross-encoder", "lists", softmax)
    shared("separate", "bi-encoder", "triplets", separate)
