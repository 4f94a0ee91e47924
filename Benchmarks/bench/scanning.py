"""Scan, grouping and printing of the synthetic machine, beside a C program that only reads the same files."""

import os
import re
import shutil
import statistics
import subprocess
import time

from . import machine as machines


def measure(machine, table, is_smoke):
    rounds = 2 if is_smoke else 9
    tree = machine.tree()
    daemon = [machine.daemon, "--simulate", tree, "--print-groups"]
    reader = [machine.programs / "read-tree", tree]
    ratios, cpu_ratios = [], []
    for turn in range(rounds + 1):
        order = [daemon, reader] if turn % 2 else [reader, daemon]
        done = {id(command): run(machine, command) for command in order}
        # The first round is the warm-up.
        if turn > 0:
            ratios.append(done[id(daemon)][0] / done[id(reader)][0])
            cpu_ratios.append(done[id(daemon)][1] / done[id(reader)][1])

    table.title(
        f"Scan and grouping of {machines.DEVICES:,} devices in {machines.GROUPS:,} kernel groups; "
        f"medians of {rounds} rounds, all on one core")
    table.time("time of --print-groups / C's for the reading alone", statistics.median(ratios), ("<=", 1.4))
    table.note("CPU of --print-groups / C's for the reading alone", f"{statistics.median(cpu_ratios):.2f}")
    compare_files(machine, table)


def run(machine, command):
    """Wall and CPU seconds, the children's included, on one core."""
    start, before = time.monotonic(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, preexec_fn=machine.pinned(machine.server_core))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - start, cpu


def compare_files(machine, table):
    """Both read the same files, folders and links of a small machine, as strace sees it."""
    if not shutil.which("strace"):
        table.note("both read the same files", "no strace here")
        return
    tree = machine.tree(host_bridges=1)
    seen = [
        touched(machine, [machine.daemon, "--simulate", tree, "--print-groups"], tree),
        touched(machine, [machine.programs / "read-tree", tree], tree),
    ]
    difference = seen[0] ^ seen[1]
    for path in sorted(difference)[:10]:
        print(f"  only {'vfiogroupd' if path in seen[0] else 'read-tree'} reads {path}")
    table.holds("both read the same files, folders and links", not difference, f"{len(seen[1])}")


def touched(machine, command, tree):
    """What a program reads of the tree: folders that it lists, files that it opens, links that it reads."""
    log = machine.folder / "strace.log"
    subprocess.run(
        ["strace", "-f", "-y", "-s", "4096", "-e", "trace=openat,readlink,readlinkat", "-o", log, *command],
        check=True, stdout=subprocess.DEVNULL)
    found = set()
    for line in log.read_text(errors="replace").splitlines():
        opened = re.search(r"openat\(.*= \d+<([^>]*)>$", line)
        link = re.search(r'readlinkat\(\d+<([^>]*)>, "([^"]*)".* = \d+$', line)
        path = opened.group(1) if opened else "/".join(link.groups()) if link else ""
        # Where the way down begins is each program's own affair.
        if path.startswith(f"{tree}/sys/"):
            found.add(path[len(f"{tree}/"):])
    return {path for path in found if path.count("/") > 1}
