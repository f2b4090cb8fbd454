#!/usr/bin/env bash
# The whole study on MS MARCO: retrievers, rerankers, the cascade, its depths, its index; for one machine with 4 x A10G (24 GB each).
#
#   bash runs/msmarco.sh             everything; killed, it goes on where it was, and what is done is skipped
#   SMOKE=1 bash runs/msmarco.sh     every step on a sample and tiny random models, minutes on two cores
#
# GPUS=1 trains on one GPU. STEPS="train-msmarco-biencoder sweep-held-out" runs these steps only. PYTHON names the
# interpreter. Results lie in results/msmarco, models in models/. It runs in a clone of the repository, or wherever
# mteb-cascade is installed and ./models holds the msmarco-*.toml.
#
# Hours are estimates and not measured: 35 TFLOPS that an A10G reaches in bf16, 95 tokens a pair, 80 a passage, 498k queries
# that are learned from; memory is a GPU's. MRR@10 on dev are published figures, see the specs; R@1 = .792 MRR@10 - .058, the line
# through 124 models of the leaderboard. What chooses (depth, blend, checkpoint) are 5,000 train queries that no model
# learns from; dev and TREC DL are looked at once, at the end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -f models/msmarco-reranker.toml ] || cd "$here/.."
[ -f models/msmarco-reranker.toml ] || { echo "no models/msmarco-*.toml here: run in a clone, or copy them" >&2; exit 2; }

if [ -z "${PYTHON:-}" ]; then
  PYTHON=$(command -v python3)
  [ ! -x .venv/bin/python ] || PYTHON=$PWD/.venv/bin/python
fi
GPUS=${GPUS:-$({ nvidia-smi -L 2>/dev/null || true; } | wc -l)}
OUT=results/msmarco
INDEX=indexes/msmarco

MSMARCO=MSMARCO DEV=MSMARCO DL19=TRECDL2019 DL20=TRECDL2020
HELD_OUT="dev[5000,seed=0 of train]"
DEPTH=200 POOL=1000 CALLS=200
if [ -n "${SMOKE:-}" ]; then
  samples=${MTEB_CASCADE_TEST_DATA:-$PWD/../shared/data}
  export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
  "$PYTHON" "$here/smoke.py" runs/.smoke models "$samples"
  cd runs/.smoke
  export MTEB_CASCADE_CACHE=$PWD/cache
  MSMARCO=data/MSMARCO DEV=data/MSMARCO-dev DL19=data/TRECDL2019 DL20=data/TRECDL2020
  HELD_OUT="dev[20,seed=0 of train]"
  DEPTH=20 POOL=100 CALLS=20
fi
mkdir -p "$OUT/.done"

cascade() { "$PYTHON" -m mteb_cascade "$@"; }

# Trains on all GPUs, the batch split among them.
train() {
  if [ "$GPUS" -gt 1 ]; then
    "$PYTHON" -m accelerate.commands.launch --num_processes "$GPUS" --num_machines 1 --mixed_precision no \
      --dynamo_backend no -m mteb_cascade train "$1"
  else
    cascade train "$1"
  fi
}

# step NAME "SPECS" COMMAND...: runs the command, unless it is done with these very specs and words.
step() {
  local name=$1 specs=$2 key stamp
  shift 2
  case " ${STEPS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
  key=$({ printf '%s\n' "$@"; for spec in $specs; do cat "models/$spec.toml"; done; } | sha256sum | cut -c-64)
  stamp=$OUT/.done/$name
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
    echo "== $name: done before"
    return 0
  fi
  echo "== $name: $(date +%H:%M:%S)"
  "$@"
  printf '%s' "$key" >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

# What each model stands on, itself included: a step is done anew when one of these specs has changed.
BM25="msmarco-bm25"
FIRST="$BM25 msmarco-biencoder"
RERANKER="$FIRST msmarco-reranker"
SECOND="$RERANKER msmarco-biencoder-2"
DISTILLED="$SECOND msmarco-biencoder-distilled"
LATE="$SECOND msmarco-late-interaction"
SPARSE="$SECOND msmarco-splade"
SERVED="$DISTILLED msmarco-funnel msmarco-served"
T5="$FIRST msmarco-rankt5"
T5GEMMA="$FIRST msmarco-rankt5gemma"
ALL="$SERVED msmarco-late-interaction msmarco-splade msmarco-rankt5 msmarco-rankt5gemma msmarco-cascade"

# Data: 8.8M passages, 1.5 GB to fetch. 10 min.
step data "" cascade prefetch -t "$MSMARCO" -t "$DEV" -t "$DL19" -t "$DL20"

# BM25: index in 10 min and 20 GB of memory, 32 queries/s. MRR@10 on dev .184 - .1875, R@1 about .09.
step bm25 "$BM25" cascade evaluate msmarco-bm25 -t "$MSMARCO" --split "$HELD_OUT" -k "$POOL" -o "$OUT/held-out"

# First round. BM25's top 200 of 498k queries: 4 h, one process. Training: 1.5 h, 16 GB. MRR@10 .32 - .35, R@1 .19 - .22.
step mine-msmarco-biencoder "$FIRST" cascade mine msmarco-biencoder --output "$OUT/mining"
step train-msmarco-biencoder "$FIRST" train msmarco-biencoder

# Reranker, from the top 100 of both. Encoding the corpus 1 h, searching it for 498k queries 6 h on 48 cores; training
# 1.5 h, 14 GB. MRR@10 over BM25 or better .3775, R@1 .24.
step mine-msmarco-reranker "$RERANKER" cascade mine msmarco-reranker --output "$OUT/mining"
step train-msmarco-reranker "$RERANKER" train msmarco-reranker

# Second round: 45M pairs for the judge, 6 h on one GPU; training 1 h, 16 GB. MRR@10 .346 - .364, R@1 .22 - .23.
step mine-msmarco-biencoder-2 "$SECOND" cascade mine msmarco-biencoder-2 --output "$OUT/mining"
step train-msmarco-biencoder-2 "$SECOND" train msmarco-biencoder-2

# Distillation: 8M pairs for the teacher, 1 h, and another search for 498k queries, 7 h; training 4 h, 18 GB.
# MRR@10 .373 - .381, R@1 .24.
step mine-msmarco-biencoder-distilled "$DISTILLED" cascade mine msmarco-biencoder-distilled --output "$OUT/mining"
step train-msmarco-biencoder-distilled "$DISTILLED" train msmarco-biencoder-distilled

# Late interaction and SPLADE learn from the same lists and teacher; 2 h, 18 GB and 1.5 h, 20 GB. MRR@10 below ColBERTv2's .397
# and SPLADE-v3's .400.
step train-msmarco-late-interaction "$LATE" train msmarco-late-interaction
step train-msmarco-splade "$SPARSE" train msmarco-splade

# The encoder rankers: lists of 36, 50,000 steps. T5-base 8 h, 18 GB; T5Gemma's smallest 3 h, 14 GB. RankT5-Enc large has
# MRR@10 .4305 [S].
step mine-msmarco-rankt5 "$T5" cascade mine msmarco-rankt5 --output "$OUT/mining"
step train-msmarco-rankt5 "$T5" train msmarco-rankt5
step train-msmarco-rankt5gemma "$T5GEMMA" train msmarco-rankt5gemma

# Every depth on the held-out queries: 5,000 x 200 pairs a pipeline, 10 min each; encoding the corpus 1 h a first stage. Half of
# them choose the blends, half are told. Late interaction reranks: there is no index that holds 8.8M passages' token vectors.
step sweep-held-out "$ALL" cascade sweep \
  --first msmarco-bm25 msmarco-biencoder msmarco-biencoder-2 msmarco-biencoder-distilled msmarco-splade \
  --rerank msmarco-late-interaction msmarco-reranker msmarco-rankt5 msmarco-rankt5gemma \
  -t "$MSMARCO" --split "$HELD_OUT" --dev-fraction .5 --depth "$DEPTH" -m mrr@10 -m success@1 -m recall@1 -m ndcg@10 \
  -o "$OUT/held-out/sweeps"

# Depth and blend within 100 ms a query, chosen on half of the held-out queries and confirmed on the other; 30 min.
tuned() {
  rm -f "models/$1-tuned.toml"
  cascade tune "$1" -t "$MSMARCO" --split "$HELD_OUT" --dev-fraction .5 --metric mrr@10 --budget-ms "$2" \
    --depth "$DEPTH" --calls "$CALLS" --write "$1-tuned" -o "$OUT/tune"
}
step tune "$DISTILLED msmarco-cascade" tuned msmarco-cascade 100

# Once, and only now: dev (6,980 queries, 1.4M pairs, 15 min) and TREC DL. To expect of the cascade on dev: MRR@10 .38 - .40, R@1 .24 -
# .26; above .26 would be new.
MODELS="msmarco-bm25 msmarco-biencoder msmarco-biencoder-2 msmarco-biencoder-distilled msmarco-splade
  msmarco-cascade msmarco-cascade-tuned"
test_on() {
  # shellcheck disable=SC2086 - several names
  cascade evaluate $MODELS -t "$1" --split "$2" -k "$POOL" -m mrr@10 -m recall@1 -m success@1 -m recall@100 -m ndcg@10 -o "$OUT/test"
}
step test-dev "$ALL" test_on "$DEV" dev
step test-trec-dl-2019 "$ALL" test_on "$DL19" test
step test-trec-dl-2020 "$ALL" test_on "$DL20" test

# The cascade's curves on the test sets, at every depth; its scores are stored already up to its own. 10 min.
step sweep-dev "$ALL" cascade sweep msmarco-cascade-tuned -t "$DEV" --split dev --no-dev --depth "$DEPTH" -o "$OUT/test/sweeps"
step sweep-trec-dl "$ALL" cascade sweep msmarco-cascade-tuned -t "$DL19" "$DL20" --split test --no-dev --depth "$DEPTH" \
  -o "$OUT/test/sweeps"

# One HTML file of everything, and figures.
step report "$ALL" cascade report "$OUT/held-out/sweeps" "$OUT/test/sweeps" -o "$OUT/report.html"

# What is served: the funnel in place of exact search, depth and blend within a second, a tenth of which is left for what tuning
# does not time; 1 h.
step tune-served "$SERVED" tuned msmarco-served 900

# The index: 8.8M passages encoded in 1 h by one GPU, 18 GB on disk (float16 vectors 13.6, signs .8, texts 3.3), mapped: 4 GB of
# the machine's memory for the process, and whatever is free as page cache. Killed, it goes on where it was. At its end the
# budget is calibrated, and answers are compared with float32.
step index "$SERVED" cascade index msmarco-served-tuned "$MSMARCO" -o "$INDEX" --precision float16

# The figures that it all is for: recall@1 and p95 of 1,000 dev queries, in one line, the last. 20 min.
step bench "$SERVED" cascade bench "$INDEX" -t "$DEV" --split dev --limit 1000 -o "$OUT/bench.json"
