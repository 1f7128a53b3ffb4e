"""What token probabilities cost when they are made afterwards, and whether they are the same.

    python benchmarks/probabilities.py MODEL.gguf [--answers 4] [--tokens 100]

Answers are written with their probabilities kept, then gone through once more for them
(core/probabilities.py): seconds of the second ÷ seconds of the first, and the largest difference between a
token's two log-probabilities.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from twokeys.config import load_config
from twokeys.services import build_services
from twokeys.types import Sampling, Settings

QUESTION = "写一个关于灯塔的故事。"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--answers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=100)
    arguments = parser.parse_args()
    ratios, differences = [], []
    with tempfile.TemporaryDirectory() as home:
        services = build_services(load_config({"TWOKEYS_HOME": home}, model=str(arguments.model.resolve())))
        try:
            for seed in range(arguments.answers):
                sampling = Sampling(max_new_tokens=arguments.tokens, seed=seed)
                conversation = services.conversations.new(Settings(sampling=sampling))
                sent = services.answers.send(conversation.id, QUESTION)
                services.jobs.wait(sent.job.id, 600)
                answer = services.conversations.message(sent.answer_message.id)
                before = services.conversations.probs(answer.id)
                began = time.perf_counter()
                after = services.probabilities.read(answer.id)
                ratios.append((time.perf_counter() - began) / (answer.provenance.timings.total_s or 1.0))
                pairs = zip(before, after, strict=True)
                differences.append(max(abs(first.logprob - second.logprob) for first, second in pairs))
        finally:
            services.close()
    print("afterwards ÷ while writing:", [round(ratio, 2) for ratio in ratios])
    print(f"mean {statistics.fmean(ratios):.2f}; largest difference {max(differences):.3f} nats")
    return 0


if __name__ == "__main__":
    sys.exit(main())
