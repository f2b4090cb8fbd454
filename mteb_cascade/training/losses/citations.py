"""The papers of a reranker's losses, as BibTeX."""

from __future__ import annotations

PAPERS = {
    "ranknet": """@inproceedings{burges2005learning,
  title={Learning to Rank using Gradient Descent},
  author={Burges, Chris and Shaked, Tal and Renshaw, Erin and Lazier, Ari and others},
  booktitle={ICML}, year={2005}
}""",
    "listnet": """@inproceedings{cao2007learning,
  title={Learning to Rank: From Pairwise Approach to Listwise Approach},
  author={Cao, Zhe and Qin, Tao and Liu, Tie-Yan and Tsai, Ming-Feng and Li, Hang},
  booktitle={ICML}, year={2007}
}""",
    "kl": """@misc{hinton2015distilling,
  title={Distilling the Knowledge in a Neural Network},
  author={Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff},
  eprint={1503.02531}, archivePrefix={arXiv}, year={2015}
}""",
    "lambda": """@inproceedings{wang2018lambdaloss,
  title={The LambdaLoss Framework for Ranking Metric Optimization},
  author={Wang, Xuanhui and Li, Cheng and Golbandi, Nadav and Bendersky, Michael and Najork, Marc},
  booktitle={CIKM}, year={2018}
}""",
    "margin-mse": """@misc{hofstaetter2021improving,
  title={Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation},
  author={Hofst{\\"a}tter, Sebastian and Althammer, Sophia and Schr{\\"o}der, Michael and others},
  eprint={2010.02666}, archivePrefix={arXiv}, year={2021}
}""",
    "softmax": """@misc{zhuang2022rankt5,
  title={RankT5: Fine-Tuning T5 for Text Ranking with Ranking Losses},
  author={Zhuang, Honglei and Qin, Zhen and Jagerman, Rolf and Hui, Kai and others},
  eprint={2210.10634}, archivePrefix={arXiv}, year={2022}
}""",
}


def citation(word: str) -> str:
    """The BibTeX of a loss; '' where it needs none."""
    if word == "hybrid":
        return "\n".join(PAPERS[one] for one in ("ranknet", "softmax"))
    return PAPERS.get(word, "")
