"""`python -m oneshelf_simulator.policies`, also `oneshelf bench policies`.

Exit code 0: played. 2: the command was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .bench import NAIVE, TITLES, run
from .scenarios import SCENARIOS
from .telling import as_json, markdown, svg


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("oneshelf bench policies", description=__doc__)
    parser.add_argument(
        "--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be given again"
    )
    parser.add_argument(
        "--policy", action="append", choices=list(TITLES), help="only this one, beside the naive mirror"
    )
    parser.add_argument("--seeds", type=int, default=3, help="so many days, added up")
    parser.add_argument("--scale", type=float, default=0.1, help="1: 10,000 SKUs and 20,000 orders a day")
    parser.add_argument("--svg", type=Path, help="write the picture there")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1 or not 0.001 <= asked.scale <= 1:
        parser.error("--seeds is 1 or more, --scale 0.001 to 1")
    policies = list(TITLES) if not asked.policy else list(dict.fromkeys([NAIVE, *asked.policy]))
    lines = run(
        asked.scenario or list(SCENARIOS),
        policies,
        range(1, asked.seeds + 1),
        asked.scale,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if asked.svg is not None:
        asked.svg.write_text(svg(lines), encoding="utf-8")
    print(json.dumps(as_json(lines)) if asked.json else markdown(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
