"""Measures all, prints the table, and ends with the line that CI counts."""

import argparse
import contextlib
import sys

from . import answering, memory, scanning, size
from .machine import Machine
from .table import Table


def main():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--mode", choices=["full", "smoke"], default="full")
    parser.add_argument("--daemon", required=True, help="the stripped release daemon")
    parser.add_argument("--programs", required=True, help="the folder with the C programs")
    parser.add_argument("--only", action="append", help="answering, scanning, memory or size")
    options = parser.parse_args()
    is_smoke = options.mode == "smoke"
    table = Table(is_smoke)
    with contextlib.closing(Machine(options.daemon, options.programs)) as machine:
        for part in [size, scanning, memory, answering]:
            name = part.__name__.split(".")[-1]
            if options.only and name not in options.only:
                continue
            try:
                part.measure(machine, table, is_smoke)
            except Exception as error:
                table.broken(name, error)
    print(f"\nbench: {table.passed} passed, {table.failed} failed")
    return 1 if table.failed else 0


sys.exit(main())
