"""`python -m oneshelf_emulator`: the four marketplaces on this machine.

In: options. Out: a line of JSON (or a table) with all addresses and credentials, once they answer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .catalogue import BadCatalogue, demo_products, read_products
from .clock import Clock
from .emulation import CHANNELS, Emulation
from .server import Addresses, run


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m oneshelf_emulator", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print addresses and credentials as one line of JSON")
    parser.add_argument("--seed", type=int, default=1, help="one seed, one world (default 1)")
    parser.add_argument("--factor", type=float, default=1.0, help="durations are this many times shorter (default 1)")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    for name in (*CHANNELS, "control", "sqs"):
        parser.add_argument(f"--{name}-port", type=int, default=0, metavar="PORT", help="0: the system chooses")
    parser.add_argument("--products", type=int, default=40, metavar="N", help="size of the demo catalogue (default 40)")
    parser.add_argument("--products-file", type=Path, metavar="JSON", help="products in place of the demo catalogue")
    parser.add_argument("--no-sqs", action="store_true", help="no queue: Amazon's notifications are not sent")
    options = parser.parse_args(arguments)
    if options.factor <= 0:
        parser.error("--factor must be above 0")
    if options.products < 1:
        parser.error("--products must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; return the exit status."""
    options = _options(arguments)
    try:
        if options.products_file:
            products = read_products(options.products_file)
        else:
            products = demo_products(options.products, seed=options.seed)
    except BadCatalogue as problem:
        print(f"oneshelf_emulator: {problem}", file=sys.stderr)
        return 2
    ports = {name: getattr(options, f"{name}_port") for name in (*CHANNELS, "control", "sqs")}
    emulation = Emulation(seed=options.seed, clock=Clock(options.factor), products=products)
    return run(emulation, Addresses(options.host, ports, not options.no_sqs), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
