"""What every experiment shares: its study from the command line, cut short with --smoke."""

import argparse
from typing import Any

from jcnn import engine


def run(title: str, **keywords: Any) -> None:
    """Run `jcnn.Study(**keywords)` and print its ranking and effects."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--out", help="leave the results in this directory")
    parser.add_argument("--smoke", action="store_true", help="two combinations for two steps")
    chosen = parser.parse_args()
    engine.use_all_cores()

    from jcnn import Study

    study = Study(**keywords)
    if chosen.smoke:
        (first, levels), *others = keywords["factors"].items()
        keywords["factors"] = {first: levels[:2]} | {
            factor: levels[:1] for factor, levels in others
        }
        keywords |= {"epochs": 1, "seeds": 1, "learning_rates": [0.1], "batch_size": 512}
        study = Study(**keywords)
    result = study.run(chosen.out)
    print(title)
    for row in result.ranking():
        names = ", ".join(row.levels.values())
        spread = f"{result.metric.show(row.mean)} +- {result.metric.show(row.std)}"
        print(f"  {names:32} rate {row.learning_rate:<6g} {spread}")
    for sentence in result.effects():
        print(f"- {sentence}")
    print(f"{result.environment['seconds']:.0f} s on {result.environment['device']}")
