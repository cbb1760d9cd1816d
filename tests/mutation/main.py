# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Usage: tests/mutate [OPTION...] [FILE[:LINE]...]

Changes a room (modules/*/*.c of a library) in one place and runs the tests that link the room:
a change, a mutant, that all tests pass has survived, and is printed as
FILE:LINE: ORIGINAL -> MUTATED. Without FILE, all rooms, one after the other. With LINE, each
mutant of that line with the test that killed it. Takes root: tests run in a memory cgroup and
PID namespaces, for a mutant may eat memory and kill whomever it can.

  --list       print the mutants, run nothing
  --own        only the tests that include the room's header: quicker, while they are written
  --sample N   N mutants a room, the same each time
  --jobs N     so many at a time (the number of processors)

Mutants: edges and negation of comparisons and conditions, && and ||, arithmetic and bits,
constants +-1, true and false, a statement deleted (calls, assignments, break, continue), what is
returned, what a variable starts with. Sizes of arrays and what #define says are not changed: the
places of use are. Not counted: what does not compile, and what an optimizing compiler makes the
same code of.

tests/mutate.equivalent lists mutants that no test can tell from the original, each with the
reason; at most 10 % of a room's. A room's score is what was killed of the rest. Exit status: 0;
1 if a room is below 90 %, or the list is wrong; 2 on errors."""
import argparse
import collections
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile

from find import Failure
from room import Room

GOAL_PERCENT = 90
EQUIVALENT_PERCENT = 10


def work(i):
    return i, ROOM.try_mutant(i)


def read_equivalents(path):
    """{(file, before, after)}"""
    with open(path) as f:
        text = re.sub(r"^#.*\n|^\s*\n", "", f.read(), flags=re.M)
    known = set()
    # What does not begin with a space begins another one.
    for block in re.findall(r"^\S.*\n(?:\s.*\n)*", text, re.M):
        m = re.fullmatch(r"(\S+\.c): (.+)\n +-> (.*)\n(?: +\S.*\n)+", block)
        if not m:
            raise Failure(f"{path}: not FILE: LINE, -> LINE and a reason:\n{block}")
        known.add((m[1], m[2].strip(), m[3].strip()))
    return known


def run_room(room, numbers, known, options, verbose):
    """Prints what survived and the score. True: that is enough."""
    global ROOM
    ROOM = room
    count = collections.Counter()
    unused = {k for k in known if k[0] == room.name}
    with tempfile.TemporaryDirectory() as folder:
        room.prepare(folder, options.own)
        with multiprocessing.Pool(options.jobs) as pool:
            for i, killer in pool.imap(work, numbers):
                words = room.words(room.mutants[i])
                place = f"{room.name}:{room.line(room.mutants[i])}: " + " -> ".join(words)
                end = "no mutant" if killer is None else "killed" if killer else "survived"
                if end != "killed":
                    unused.discard((room.name, *words))
                if end == "survived" and (room.name, *words) in known:
                    end = "equivalent"
                count[end] += 1
                if verbose:
                    print(f"{place}: {end} {killer or ''}", flush=True)
                elif end == "survived":
                    print(place, flush=True)
        flaky = [t.name for t in room.tests if not room.passes(t, folder, 0)]
    if verbose:
        return True
    killed, survived, equivalent = (count[e] for e in ("killed", "survived", "equivalent"))
    percent = 100 * killed // max(1, killed + survived)
    print(f"{room.name}: {percent} %: {killed} killed, {survived} survived, "
          f"{equivalent} equivalent", flush=True)
    wrong = [f"{name} fails without a change, now and then: the score is too good"
             for name in flaky]
    if len(numbers) == len(room.mutants) and not options.own:
        wrong += [f"listed, but killed or not there: {' -> '.join(u[1:])}" for u in sorted(unused)]
    if 100 * equivalent > EQUIVALENT_PERCENT * (killed + survived + equivalent):
        wrong.append(f"more than {EQUIVALENT_PERCENT} % are listed as equivalent")
    for w in wrong:
        print(f"{room.name}: {w}", flush=True)
    return percent >= GOAL_PERCENT and not wrong


def rooms_of(build_dir):
    """All sources of libraries; what a module consists of is none."""
    with open(os.path.join(build_dir, "Makefile")) as f:
        made = re.findall(r"^\S+/(lib\w+)_la-\S+\.lo: (modules/\S+\.c)$", f.read(), re.M)
    return sorted(source for _, source in made)


def main():
    source_dir, build_dir = sys.argv[1:3]
    p = argparse.ArgumentParser(prog="mutate")
    for flag in "--list", "--own":
        p.add_argument(flag, action="store_true")
    p.add_argument("--sample", type=int, default=sys.maxsize)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("files", nargs="*", metavar="FILE[:LINE]")
    options = p.parse_args(sys.argv[3:])
    known = read_equivalents(os.path.join(source_dir, "tests/mutate.equivalent"))
    good = True
    for arg in options.files or rooms_of(build_dir):
        name, _, line = arg.partition(":")
        room = Room(source_dir, build_dir, os.path.normpath(name))
        numbers = [i for i, m in enumerate(room.mutants) if not line or room.line(m) == int(line)]
        if options.sample < len(numbers):
            numbers = sorted(random.Random(room.name).sample(numbers, options.sample))
        if options.list:
            for m in (room.mutants[i] for i in numbers):
                print(f"{room.name}:{room.line(m)}: " + " -> ".join(room.words(m)))
        else:
            good &= run_room(room, numbers, known, options, bool(line))
    return 0 if good else 1


if __name__ == "__main__":
    # So that what was begun is cleaned up, here and in those that do the work.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        sys.exit(main())
    except Failure as e:
        print(f"mutate: {e}", file=sys.stderr)
        sys.exit(2)
