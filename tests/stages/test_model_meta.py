from __future__ import annotations

import subprocess
import sys


def test_asking_a_stage_first_still_registers_our_models(write_spec) -> None:
    write_spec("mine", 'kind = "bm25"\n')
    code = (
        "import mteb_cascade; meta = mteb_cascade.BM25(name='a/b').mteb_model_meta; import mteb; "
        "print(meta.name, mteb.get_model('mine').k1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["a/b", "1.5"], done.stderr
    assert "could not add" not in done.stderr
