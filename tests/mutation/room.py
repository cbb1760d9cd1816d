# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A room with its mutants, and the tests that run it."""
import collections
import os
import re
import shlex
import subprocess
import tempfile
import time

from find import Failure, Finder

# A test is alone with its children, whatever a mutant kills (a pid may have become -1: that is
# everybody), and they end with it. Its own: KiB of address space, blocks of 512 bytes of a file,
# seconds of a processor.
ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
         "ulimit -v 1048576 && ulimit -f 131072 && ulimit -t $0 && \"$@\"; exit $?")

Test = collections.namedtuple("Test", "rank name link arguments fork seconds")

CHOSEN = b"""
#include <stdlib.h>
int mutate_chosen;
__attribute__((constructor)) static void choose(void)
{
    mutate_chosen = atoi(getenv("MUTATE"));
}
"""


class Room:
    """One source with its mutants, and the tests that run it."""

    def __init__(self, source_dir, build_dir, name):
        self.top, self.build, self.name = source_dir, build_dir, name
        self.path = os.path.join(source_dir, name)
        with open(os.path.join(build_dir, "Makefile")) as f:
            targets = re.findall(r"^(\S+)\$\(EXEEXT\): \$\(", f.read(), re.M)
        steps = self.output("make", "-n", "V=1", "-W", name, *targets).splitlines()
        compiled = [s for s in steps if s.endswith(name) and "--mode=compile" in s]
        if not compiled:
            raise Failure(f"{name} is no room: no library has it")
        folder, base = os.path.split(re.search(r"-c -o (\S+)\.lo ", compiled[0])[1])
        self.object = os.path.join(folder, ".libs", base + ".o")
        words = shlex.split(re.sub(r"`.*", "", compiled[0].split("--mode=compile", 1)[1]))
        self.cc = words[0]
        self.flags = [w for w in words if re.match("-[DIUfmp]|-std", w)] \
            + ["-iquote", os.path.dirname(self.path)]
        self.links = {re.search(r"-o (\S+)", s)[1]: s for s in steps
                      if "--mode=link" in s and not re.search(r"-o \S+\.la ", s)}
        include = self.output(self.cc, "-print-file-name=include").strip()
        finder = Finder(self.path, self.flags + ["-I" + build_dir, "-isystem", include])
        self.source, self.mutants = finder.source, finder.found

    def output(self, *argv):
        return subprocess.run(argv, cwd=self.build, capture_output=True, text=True).stdout

    def changed(self, m):
        return self.source[:m.start] + m.text.encode() + self.source[m.end:]

    def line(self, m):
        return self.source.count(b"\n", 0, m.start) + 1

    def words(self, m):
        """The lines before and after."""
        first = self.source.rfind(b"\n", 0, m.start) + 1
        last = self.source.find(b"\n", m.end)
        after = self.source[first:m.start] + m.text.encode() + self.source[m.end:last]
        return tuple(" ".join(t.decode().split()) for t in (self.source[first:last], after))

    # --- All mutants in one: each is an expression that asks whether it is the chosen one.

    def schema(self, numbers):
        nodes = {}
        for i in numbers:
            nodes.setdefault(self.mutants[i].node, []).append(i)
        order = sorted(nodes, key=lambda n: (n[0], -n[1]))
        return b"extern int mutate_chosen;\n# 1 \"room\"\n" \
            + self.render(0, len(self.source), order, nodes)

    def render(self, start, end, order, nodes):
        """[start, end) of the source with the nodes in it."""
        out = []
        while order:
            node = order[0]
            inner = [n for n in order[1:] if n[0] < node[1]]
            order = order[1 + len(inner):]
            out += [self.source[start:node[0]], self.choice(node, inner, nodes)]
            start = node[1]
        return b"".join(out) + self.source[start:end]

    def choice(self, node, inner, nodes):
        body = self.render(*node, inner, nodes)
        # What is deleted is a statement: outermost, and of no value.
        for i in sorted(nodes[node], key=lambda i: not self.mutants[i].text):
            m = self.mutants[i]
            after = self.source[node[0]:m.start] + m.text.encode() + self.source[m.end:node[1]]
            jump = re.match(rb"(break|continue|goto)\b", body)
            if jump:
                body = b"\n# 1 \"%d\"\nif (mutate_chosen == %d) ; else %s" % (i, i + 1, body)
            elif not after:
                body = b"(mutate_chosen == %d ? (void)0 : (void)(%s))" % (i + 1, body)
            else:
                body = b"(\n# 1 \"%d\"\nmutate_chosen == %d ? (%s) :\n# 1 \"room\"\n(%s))" \
                    % (i, i + 1, after, body)
        return body

    # --- The tests.

    def compile(self, text, out, *options):
        """What the compiler says; nothing if it compiles."""
        with open(out + ".c", "wb") as f:
            f.write(text)
        done = subprocess.run([self.cc, *self.flags, *options, "-w", "-c", "-o", out, out + ".c"],
                              cwd=self.build, capture_output=True, text=True)
        return done.stderr or "failed" if done.returncode != 0 else ""

    def optimized(self, text, folder):
        """What optimizing compilers make of it. Where one sees no difference, there is none."""
        codes, out = set(), os.path.join(folder, "best.o")
        for option in "-O1", "-O2", "-Os":
            said = self.compile(text, out, option)
            if said:
                raise Failure(said)
            with open(out, "rb") as f:
                codes.add((option, f.read()))
        return codes

    def symbols(self, path):
        lines = self.output("nm", "-g", "--defined-only", path).splitlines()
        return {line.split()[-1] for line in lines if len(line.split()) == 3}

    def programs(self, own):
        """The tests that have this room in them, and how they rank: its own before others'."""
        symbols, stem = self.symbols(self.object), os.path.basename(self.name)[:-2]
        for name, step in self.links.items():
            if not symbols & self.symbols(name):
                continue
            step = step.replace("--mode=link", "--dry-run --mode=link")
            link = shlex.split(re.search("link: (.*)", self.output("sh", "-c", step))[1])
            base = os.path.basename(name)
            if base.startswith("check_"):
                with open(os.path.join(self.top, name + ".c")) as f:
                    near = stem.startswith(base[6:]) or f"/{stem}.h\"" in f.read()
                rank = 0 if base[6:] == stem else 1 if near else 2
                arguments = []
            elif base.startswith("fuzz_"):
                rank, arguments = 3, [os.path.join(self.top, "tests/fuzz/corpus", base[5:])]
            elif base == "oomreport":
                rank, arguments = 4, None
            else:
                continue
            if rank < 2 or not own:
                yield Test(rank, name, link, arguments, True, 6)

    def link(self, test, folder, *objects):
        program = os.path.join(folder, test.name)
        os.makedirs(os.path.dirname(program), exist_ok=True)
        at = test.link.index("-o")
        done = subprocess.run([*test.link[:at], "-o", program, *objects, *test.link[at + 2:]],
                              cwd=self.build, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(done.stderr)

    def passes(self, test, folder, chosen):
        argv = [os.path.join(folder, test.name), *(test.arguments or ())]
        if test.arguments is None:
            argv = [os.path.join(self.top, "tests/report/forms")]
            os.makedirs(os.path.join(folder, "tests/report"), exist_ok=True)
            convert = os.path.join(folder, "tests/report/convert")
            if not os.path.lexists(convert):
                os.symlink(os.path.join(self.build, "tests/report/convert"), convert)
        env = dict(os.environ, CK_FORK="yes" if test.fork else "no", CK_DEFAULT_TIMEOUT="60",
                   CC=self.cc, top_srcdir=self.top, top_builddir=folder, MUTATE=str(chosen))
        wall = max(10, 10 * test.seconds)
        try:
            done = subprocess.run([*ALONE, str(max(2, int(5 * test.seconds))), *argv], cwd=self.build,
                                  env=env, timeout=wall, start_new_session=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            return done.returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def prepare(self, folder, own):
        """Compiles all mutants that can be in one, links it, and takes the tests that pass when
        none is chosen: without a fork for each case, if that goes."""
        self.folder = folder
        objects = [os.path.join(folder, "room.o"), os.path.join(folder, "chosen.o")]
        self.codes = self.optimized(self.source, folder)
        said = self.compile(CHOSEN, objects[1], "-O0")
        if said:
            raise Failure(said)
        self.together = {i for i, m in enumerate(self.mutants) if m.node}
        while said := self.compile(self.schema(self.together), objects[0], "-O0"):
            wrong = {int(n) for n in re.findall(r"^(\d+):\d+:\d+: error", said, re.M)}
            # Elsewhere than in a mutant: it does not do here to choose.
            self.together = self.together - wrong if wrong else set()
        self.tests = []
        for test in self.programs(own):
            self.link(test, folder, *objects)
            for fork in (False, True) if test.rank < 3 else (True,):
                begin = time.monotonic()
                test = test._replace(fork=fork)
                if self.passes(test, folder, 0):
                    seconds = time.monotonic() - begin
                    self.tests.append(test._replace(seconds=seconds))
                    break
            else:
                print(f"{self.name}: {test.name} fails without a change, and is left out",
                      flush=True)
        self.tests.sort(key=lambda t: (max(1, t.rank), t.seconds))

    def try_mutant(self, i):
        """None: none at all. "": it survived. Otherwise who killed it."""
        changed = self.changed(self.mutants[i])
        with tempfile.TemporaryDirectory() as folder:
            alone = os.path.join(folder, "room.o")
            if i not in self.together and self.compile(changed, alone, "-O0"):
                return None
            for test in self.tests:
                if i in self.together:
                    passed = self.passes(test, self.folder, i + 1)
                else:
                    self.link(test, folder, alone)
                    passed = self.passes(test, folder, 0)
                if not passed:
                    return test.name
            return None if self.codes & self.optimized(changed, folder) else ""
