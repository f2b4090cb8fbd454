"""How near a cross-encoder's scoring comes to what its forward pass could do, and what eats the rest.

For BM25's candidates of dl20, SciFact and PythonDocs:
- the share of real tokens in what the model computes (10 queries x 100, packed and not run);
- tokens a second of `CrossEncoder.score` against bare forward passes at perfect packing: as many pairs in a pass, all
  of one length, ids made before. Both take turns, and a ratio is taken in each round;
- where the time goes: tokenising, padding, the forward pass, everything else; within the pass, by PyTorch's profiler,
  matrix products, attention, GELU, LayerNorm, other;
- the machine's own rate of matrix products, those of the largest pack's layers by themselves and into memory that is
  there, which take turns with the others, and the share of that rate that scoring reaches.

    python benchmarks/engine.py [--size bench] [--dtype float32] [--only dl20]
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from minilm import forget, random_head
from rerank import SOURCES, Work, there, work_of
from turns import Ratio, Row, alternate, parser, write

from mteb_cascade.engine import pairs as engine
from mteb_cascade.engine.chunks import Tokens
from mteb_cascade.engine.pair_template import JoinedPairs, PairTemplate
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.stages.cross_encoder import CrossEncoder

SIZES = {"small": (1, 20, 1), "bench": (1, 60, 3), "full": (2, 100, 3), "gpu": (10, 100, 5)}
"""Queries, depth and rounds of what is timed."""

REAL, REACHED = 0.95, 0.85

GROUPS = {
    "matrix products": ("addmm", "mm", "bmm", "matmul", "linear"),
    "attention": ("scaled_dot_product", "flash_attention", "softmax"),
    "GELU": ("gelu",),
    "LayerNorm": ("layer_norm",),
}

Packs = list[tuple[int, int, int]]
"""Of each micro-batch its pairs, its longest and its real tokens."""


def packs_of(stage: CrossEncoder, work: Work) -> Packs:
    """How the engine packs; nothing is run."""
    found: Packs = []

    def told(network: Any, tokens: Tokens, pack: np.ndarray) -> np.ndarray:
        lengths = tokens.lengths[pack]
        found.append((len(pack), int(lengths.max()), int(lengths.sum())))
        return np.zeros(len(pack), np.float32)

    with patch.object(engine, "forwarded", told):
        stage.score(work.queries, work.candidates)
    return found


def cold(stage: CrossEncoder, work: Work) -> np.ndarray:
    """Scores, with nothing held of texts that were tokenised before."""
    forget(stage)
    return stage.score(work.queries, work.candidates)


def bare(stage: CrossEncoder, packs: Packs) -> Callable[[], float]:
    """Forward passes of as many pairs as each pack has, all as long as the pack's mean; what they scored, summed."""
    import torch

    rows = stage.network.tokenizer.vocab_size
    made = []
    for count, _, real in packs:
        ids = torch.randint(rows // 10, rows, (count, round(real / count)))
        made.append({"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "attention_mask": torch.ones_like(ids)})
    device = stage.network.device

    def run() -> float:
        total = 0.0
        with torch.inference_mode():
            for one in made:
                features = {name: value.to(device) for name, value in one.items()}
                total += float(stage.network(features)["scores"].float().sum())
        return total

    return run


@contextmanager
def watches() -> Any:
    """{part: seconds} of scoring, filled while it runs."""
    seconds: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **options: Any) -> Any:
            start = perf_counter()
            found = call(*given, **options)
            seconds[name] = seconds.get(name, 0.0) + perf_counter() - start
            return found

        return run

    with ExitStack() as stack:
        for owner, name, part in (
            (PairTemplate, "tokenised", "tokenising"),
            (JoinedPairs, "padded", "padding"),
            (engine, "forwarded", "padding and forward pass"),
            (TextPairs, "sides", "fetching texts"),
        ):
            stack.enter_context(patch.object(owner, name, timed(part, getattr(owner, name))))
        yield seconds


def parts_of(stage: CrossEncoder, work: Work) -> dict[str, float]:
    """Share of each part of scoring."""
    with watches() as seconds:
        start = perf_counter()
        cold(stage, work)
        whole = perf_counter() - start
    tokenising = seconds.get("tokenising", 0.0)
    padding = seconds.get("padding", 0.0)
    parts = {
        "tokenising": tokenising,
        "padding": padding,
        "forward pass": seconds.get("padding and forward pass", 0.0) - padding,
    }
    return {**{name: one / whole for name, one in parts.items()}, "everything else": 1 - sum(parts.values()) / whole}


def operations_of(run: Callable[[], Any]) -> dict[str, float]:
    """Share of each kind of operation in forward passes, by the time of the processor."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    seconds = dict.fromkeys([*GROUPS, "other"], 0.0)
    for event in profiled.key_averages():
        name = next((group for group, words in GROUPS.items() if any(word in event.key for word in words)), "other")
        seconds[name] += event.self_cpu_time_total
    whole = sum(seconds.values()) or 1.0
    return {name: one / whole for name, one in seconds.items()}


def products(stage: CrossEncoder, packs: Packs) -> tuple[float, float, Callable[[], float]]:
    """What the network's layers multiply for a token, attention included, and matrix products to hold it against.

    Returns:
        Floating point operations a token; those of the products; the matrix products of the largest pack's layers, as
        often as takes about half as long as scoring does.
    """
    import torch

    config = stage.network[0].auto_model.config
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    length = sum(real for *_, real in packs) / sum(count for count, *_ in packs)
    each = layers * (2 * (4 * width * width + 2 * width * inner) + 4 * length * width)
    rows = max(real for *_, real in packs)
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(stage.computes_in, torch.float32)
    options: dict[str, Any] = {"dtype": dtype, "device": stage.network.device}
    shapes = [(width, width), (width, inner), (inner, width)]
    made = [
        (torch.randn(rows, left, **options), torch.randn(right, left, **options), torch.empty(rows, right, **options))
        for left, right in shapes
    ]
    layer = [made[0]] * 4 + made[1:]
    times = layers * max(1, sum(real for *_, real in packs) // (2 * rows))

    def run() -> float:
        with torch.inference_mode():
            for texts, weights, out in layer * times:
                torch.mm(texts, weights.t(), out=out)
        return float(out[0, 0])

    operations = times * 2 * rows * (4 * width * width + 2 * width * inner)
    return each, operations, run


def measured(name: str, model: Path, dtype: Any, size: str, rounds: int) -> tuple[list[Row], dict[str, Any]]:
    """The rows of a collection, and everything beside them."""
    import torch

    stage = CrossEncoder(model=str(model), dtype=dtype)
    stage.prepare()
    ten = work_of(name, model, 10, 100)
    packs = packs_of(stage, ten)
    share = sum(real for *_, real in packs) / sum(count * longest for count, longest, _ in packs)
    queries, depth, _ = SIZES[size]
    work = work_of(name, model, queries, depth)
    timed = packs_of(stage, work)
    tokens = sum(real for *_, real in timed)
    bare_way = bare(stage, timed)
    each, operations_alone, alone = products(stage, timed)
    ways = {"score": lambda: cold(stage, work), "bare forward passes": bare_way, "matrix products": alone}
    taken = alternate(ways, rounds)
    taken.show(f"{name}: {queries} queries x {depth}, {tokens:,} tokens", "bare forward passes")
    # Others' work on the machine does not count where one thread is all that there is to count.
    seconds = taken.cpu if torch.get_num_threads() == 1 and stage.network.device.type == "cpu" else taken.seconds
    reached = Ratio.of(seconds["bare forward passes"], seconds["score"])
    speed = tokens / statistics.median(seconds["score"])
    rate = operations_alone / statistics.median(seconds["matrix products"])
    of_limit = Ratio.of(
        [one * tokens * each for one in seconds["matrix products"]],
        [one * operations_alone for one in seconds["score"]],
    )
    parts, operations = parts_of(stage, work), operations_of(bare_way)
    print(f"  real tokens {share:.1%} (10 x 100); {speed:,.0f} tokens/s; {rate / 1e9:,.0f} GFLOP/s of products here,")
    print(f"  of which scoring reaches {of_limit.median:.1%}")
    for title, shares in (("scoring", parts), ("a forward pass", operations)):
        print(f"  {title}: " + ", ".join(f"{part} {one:.1%}" for part, one in shares.items()), flush=True)
    rows = [
        Row(f"real tokens, {name}, 10 x 100", "all tokens computed", Ratio(share, share, share), REAL, "%"),
        Row(f"tokens/s of scoring, {name}", "bare forward, perfect packing", reached, REACHED, "%"),
        Row(f"products of scoring, {name}", "the machine's matrix products", of_limit, None, "%"),
    ]
    more = {"dtype": stage.computes_in, "tokens": tokens, "tokens_per_second": speed, "parts": parts}
    return rows, {**more, "operations": operations, "flops_per_token": each, "matmul_rate": rate, **taken.as_json()}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", choices=SOURCES, nargs="+", default=list(SOURCES))
    options.add_argument("--dtype", default="float32")
    given = options.parse_args()
    rows: list[Row] = []
    more: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        model = random_head(Path(place) / "minilm-cross-encoder")
        for name in there(given.only):
            rounds = given.rounds or SIZES[given.size][2]
            found, more[name] = measured(name, model, given.dtype, given.size, rounds)
            rows += found
    write("engine", given, rows, collections=more)


if __name__ == "__main__":
    main()
