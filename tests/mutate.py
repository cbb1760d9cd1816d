# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Usage: tests/mutate [OPTION...] [FILE[:LINE]...]

Changes a room (modules/*/*.c of a library) in one place, compiles that change, a mutant, and
runs the tests that link the room: a mutant that all tests pass has survived, and is printed as
FILE:LINE: ORIGINAL -> MUTATED. Without FILE, all rooms, one after the other. With LINE, each
mutant of that line with the test that killed it.

  --list       print the mutants, run nothing
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
import ctypes
import multiprocessing
import os
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time

from clang import cindex
from clang.cindex import CursorKind as K, TypeKind as T

GOAL_PERCENT = 90
EQUIVALENT_PERCENT = 10
ADDRESS_SPACE = 1 << 30
FILE_SIZE = 64 << 20

# A change: [start, end) of the source, in bytes, becomes text.
Mutant = collections.namedtuple("Mutant", "start end text")
Test = collections.namedtuple("Test", "name link argv fork seconds")

OPERATORS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",),
    "&": ("|",), "|": ("&",), "^": ("|",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "*=": ("/=",), "/=": ("*=",), "%=": ("/=",),
    "&=": ("|=",), "|=": ("&=",), "^=": ("|=",), "<<=": (">>=",), ">>=": ("<<=",),
}
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
LITERALS = (K.INTEGER_LITERAL, K.CHARACTER_LITERAL, K.FLOATING_LITERAL, K.STRING_LITERAL)
JUMPS = (K.BREAK_STMT, K.CONTINUE_STMT, K.GOTO_STMT)
# Nothing in them runs.
DEAD = (K.STRUCT_DECL, K.UNION_DECL, K.ENUM_DECL, K.TYPEDEF_DECL, K.STATIC_ASSERT,
        K.CXX_UNARY_EXPR, K.PARM_DECL, K.FIELD_DECL)


class Failure(Exception):
    """Nothing can be said of mutants."""


class Finder:
    """Finds the mutants of one source."""

    def __init__(self, path, flags):
        with open(path, "rb") as f:
            self.source = f.read()
        unit = cindex.Index.create().parse(path, args=flags)
        errors = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if errors:
            raise Failure(errors[0])
        self.found = []
        for cursor in unit.cursor.get_children():
            if cursor.location.file and cursor.location.file.name == path:
                self.visit(cursor, None)
        self.found = sorted(set(self.found))

    def span(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def text(self, cursor):
        start, end = self.span(cursor)
        return self.source[start:end].decode()

    def add(self, start, end, text):
        self.found.append(Mutant(start, end, text))

    def replace(self, cursor, text):
        self.add(*self.span(cursor), text)

    def operator(self, cursor):
        """The operator of a binary expression, and where it stands; it is no macro's."""
        children = list(cursor.get_children())
        if len(children) != 2:
            return None, 0
        start, end = self.span(children[0])[1], self.span(children[1])[0]
        between = self.source[start:end].decode()
        name = re.sub(r"/\*.*?\*/", "", between, flags=re.S).strip()
        return (name, start + between.index(name)) if name in OPERATORS else (None, 0)

    def bare(self, cursor):
        """Without casts that nobody wrote, and parentheses."""
        while cursor.kind in (K.UNEXPOSED_EXPR, K.PAREN_EXPR):
            inner = list(cursor.get_children())
            if len(inner) != 1:
                break
            cursor = inner[0]
        return cursor

    def condition(self, cursor):
        """What is asked, if it is no operator that has mutants of its own."""
        cursor = self.bare(cursor)
        text = self.text(cursor)
        if cursor.kind == K.BINARY_OPERATOR \
                and self.operator(cursor)[0] in COMPARISONS + ("&&", "||"):
            return
        if text in ("true", "false") or text.startswith("!") or cursor.kind in LITERALS:
            return
        self.replace(cursor, f"!({text})")

    def statement(self, cursor):
        if cursor.kind.is_expression() or cursor.kind in JUMPS:
            self.replace(cursor, "")

    def for_parts(self, cursor):
        """Where the condition of a for statement may stand."""
        start, end = self.span(cursor)
        depth, places = 0, []
        for m in re.finditer(rb"'(?:\\.|[^'\\])+'|\"(?:\\.|[^\"\\])*\"|/\*.*?\*/|[();]",
                             self.source[start:end], re.S):
            depth += {b"(": 1, b")": -1}.get(m[0], 0)
            if m[0] == b";" and depth == 1:
                places.append(start + m.start())
            if depth == 0 and m[0] == b")":
                break
        return places

    def visit(self, cursor, result):
        """result: the type of what the function around returns."""
        kind, children = cursor.kind, list(cursor.get_children())
        if kind in DEAD:
            return
        if kind == K.FUNCTION_DECL:
            result = cursor.result_type.get_canonical().kind
            children = [c for c in children if c.kind == K.COMPOUND_STMT]
        elif kind == K.VAR_DECL:
            children = self.initial(cursor, children, result)
        elif kind == K.COMPOUND_STMT:
            for c in children:
                self.statement(c)
        elif kind == K.IF_STMT:
            self.condition(children[0])
            for c in children[1:]:
                self.statement(c)
        elif kind in (K.WHILE_STMT, K.DO_STMT):
            self.condition(children[0 if kind == K.WHILE_STMT else 1])
            self.statement(children[1 if kind == K.WHILE_STMT else 0])
        elif kind == K.FOR_STMT:
            places = self.for_parts(cursor)
            for c in children[:-1]:
                if len(places) == 2 and places[0] < self.span(c)[0] < places[1]:
                    self.condition(c)
            self.statement(children[-1])
        elif kind in (K.CASE_STMT, K.DEFAULT_STMT, K.LABEL_STMT):
            self.statement(children[-1])
        elif kind == K.CONDITIONAL_OPERATOR:
            self.condition(children[0])
        elif kind in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            children = self.binary(cursor, children)
        elif kind == K.UNARY_OPERATOR:
            self.unary(cursor, children)
        elif kind == K.RETURN_STMT and children:
            self.returned(children[0], result)
        elif kind in LITERALS:
            self.literal(cursor)
        for c in children:
            self.visit(c, result)

    def initial(self, cursor, children, result):
        """The initial value of a variable, and of its other children (sizes) none."""
        init = children[-1] if children else None
        if init is None or b"=" not in self.source[cursor.location.offset:self.span(init)[0]]:
            return []
        scalar = cursor.type.get_canonical().kind not in (
            T.RECORD, T.CONSTANTARRAY, T.INCOMPLETEARRAY)
        if result is not None and scalar and self.bare(init).kind not in LITERALS:
            self.replace(init, "0")
        return [init]

    def binary(self, cursor, children):
        name, start = self.operator(cursor)
        for other in OPERATORS.get(name, ()):
            self.add(start, start + len(name), other)
        if name in ("&&", "||"):
            for c in children:
                self.condition(c)
        # The edges that an order has say more than its constants do.
        if name in ("<", "<=", ">", ">="):
            return [c for c in children if self.bare(c).kind not in LITERALS]
        return children

    def unary(self, cursor, children):
        start, end = self.span(cursor)
        text = self.text(cursor)
        for name, other in ("++", "--"), ("--", "++"):
            if text.startswith(name):
                self.add(start, start + 2, other)
            elif text.endswith(name):
                self.add(end - 2, end, other)
        if re.match("[!~]|-[^-]", text):
            self.add(start, self.span(children[0])[0], "")

    def returned(self, cursor, result):
        if self.bare(cursor).kind in LITERALS or re.fullmatch(r"\(?-\w+\)?", self.text(cursor)):
            return
        values = ("true", "false") if result == T.BOOL else \
            ("0",) if result == T.POINTER else () if result == T.RECORD else ("0",)
        for v in values:
            if self.text(cursor) != v:
                self.replace(cursor, v)

    def literal(self, cursor):
        text = self.text(cursor)
        number = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text)
        if text in ("true", "false"):
            self.replace(cursor, "false" if text == "true" else "true")
        elif number:
            base = 16 if number[1][:2] in ("0x", "0X") else 8 if number[1][0] == "0" else 10
            n = int(number[1], base)
            for other in (n + 1, n - 1) if n > 0 else (1,):
                self.replace(cursor, f"{other}{number[2]}")
        elif re.fullmatch(r"'(\\.|\\x\w+|\\\d+|[^'\\])'|[\d.]+(e[-+]?\d+)?", text):
            self.replace(cursor, f"({text} + 1)")


class Room:
    """One source with its mutants, and the tests that run it."""

    def __init__(self, source_dir, build_dir, name):
        self.top, self.build, self.name = source_dir, build_dir, name
        self.path = os.path.join(source_dir, name)
        with open(os.path.join(build_dir, "Makefile")) as f:
            targets = re.findall(r"^(\S+)\$\(EXEEXT\): \$\(", f.read(), re.M)
        made = subprocess.run(["make", "-n", "V=1", "-W", name, *targets],
                              cwd=build_dir, capture_output=True, text=True).stdout
        steps = [line for line in made.splitlines() if "libtool" in line]
        self.object = next((re.search(r"-c -o (\S+)\.lo ", s)[1] for s in steps
                            if s.endswith(name) and "--mode=compile" in s), None)
        if self.object is None:
            raise Failure(f"{name} is no room: no library has it")
        compile_line = next(s for s in steps if s.endswith(name))
        words = shlex.split(re.sub(r"`.*", "", compile_line.split("--mode=compile", 1)[1]))
        self.cc = words[0]
        self.flags = [w for w in words if re.match("-[DIUfmp]|-std", w)] \
            + ["-iquote", os.path.dirname(self.path)]
        self.links = {re.search(r"-o (\S+)", s)[1]: s for s in steps
                      if "--mode=link" in s and not re.search(r"-o \S+\.la ", s)}
        include = subprocess.run([self.cc, "-print-file-name=include"], capture_output=True,
                                 text=True).stdout.strip()
        finder = Finder(self.path, self.flags + ["-I" + build_dir, "-isystem", include])
        self.source, self.mutants = finder.source, finder.found

    def changed(self, m):
        return self.source[:m.start] + m.text.encode() + self.source[m.end:]

    def line(self, m):
        return self.source.count(b"\n", 0, m.start) + 1

    def words(self, m):
        """The lines before and after."""
        first = self.source.rfind(b"\n", 0, m.start) + 1
        last = self.source.find(b"\n", m.end)
        before = self.source[first:last].decode()
        after = (self.source[first:m.start] + m.text.encode() + self.source[m.end:last]).decode()
        return " ".join(before.split()), " ".join(after.split())

    def compile(self, text, out, *options):
        source = out[:-1] + "c"
        with open(source, "wb") as f:
            f.write(text)
        return subprocess.run([self.cc, *self.flags, *options, "-w", "-c", "-o", out, source],
                              cwd=self.build, stderr=subprocess.DEVNULL).returncode == 0

    def symbols(self, path):
        out = subprocess.run(["nm", "-g", "--defined-only", path], cwd=self.build,
                             capture_output=True, text=True).stdout
        return {line.split()[-1] for line in out.splitlines() if len(line.split()) == 3}

    def programs(self):
        """The tests that have this room in them: its own first, then others, the quick first."""
        folder, base = os.path.split(self.object)
        own = self.symbols(os.path.join(folder, ".libs", base + ".o"))
        stem = os.path.basename(self.name)[:-2]
        for name, step in self.links.items():
            if not own & self.symbols(name):
                continue
            step = re.sub("--mode=link", "--dry-run --mode=link", step)
            out = subprocess.run(step, shell=True, cwd=self.build, capture_output=True,
                                 text=True).stdout
            link = shlex.split(re.search(r"libtool: link: (.*)", out)[1])
            base = os.path.basename(name)
            if base.startswith("check_"):
                rank = 0 if base[6:] == stem else 1 if stem.startswith(base[6:]) else 2
                yield rank, Test(name, link, [], False, 0)
            elif base.startswith("fuzz_"):
                corpus = os.path.join(self.top, "tests/fuzz/corpus", base[5:])
                yield 3, Test(name, link, [corpus], True, 0)
            elif base == "oomreport":
                yield 4, Test(name, link, [], True, 0)

    def baseline(self, folder):
        """Only what passes unchanged is of use; without a fork for each case, if that goes."""
        mutant = os.path.join(folder, "m.o")
        if not self.compile(self.source, mutant, "-O0"):
            raise Failure(f"{self.name} does not compile")
        if not self.compile(self.source, os.path.join(folder, "best.o"), "-O2"):
            raise Failure(f"{self.name} does not compile with -O2")
        tests = []
        for rank, test in self.programs():
            for fork in ((True,) if test.argv or rank == 4 else (False, True)):
                begin = time.monotonic()
                if self.passes(test._replace(fork=fork, seconds=6), mutant, folder):
                    tests.append((rank, time.monotonic() - begin, test, fork))
                    break
            else:
                print(f"{self.name}: {test.name} fails without a change, and is left out",
                      flush=True)
        tests.sort(key=lambda t: t[:2])
        self.tests = [t._replace(fork=fork, seconds=s) for _, s, t, fork in tests]

    def passes(self, test, mutant, folder):
        program = os.path.join(folder, test.name)
        os.makedirs(os.path.dirname(program), exist_ok=True)
        link = list(test.link)
        link[link.index("-o") + 1] = program
        link.insert(link.index("-o") + 2, mutant)
        done = subprocess.run(link, cwd=self.build, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(done.stderr)
        argv = [program, *test.argv]
        if os.path.basename(test.name) == "oomreport":
            argv = [os.path.join(self.top, "tests/report/forms")]
            os.makedirs(os.path.join(folder, "tests/report"), exist_ok=True)
            convert = os.path.join(folder, "tests/report/convert")
            if not os.path.exists(convert):
                os.symlink(os.path.join(self.build, "tests/report/convert"), convert)
        env = dict(os.environ, CK_FORK="yes" if test.fork else "no", top_srcdir=self.top,
                   top_builddir=folder, CC=self.cc, CK_DEFAULT_TIMEOUT="60")
        wall = max(5, 10 * test.seconds)

        def limits():
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
            cpu = int(wall / 2)
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))

        child = subprocess.Popen(argv, cwd=self.build, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True, preexec_fn=limits)
        try:
            return child.wait(wall) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            end_children()

    def try_mutant(self, m):
        """None: none at all. "": it survived. Otherwise who killed it."""
        with tempfile.TemporaryDirectory() as folder:
            mutant = os.path.join(folder, "m.o")
            if not self.compile(self.changed(m), mutant, "-O0"):
                return None
            for test in self.tests:
                if not self.passes(test, mutant, folder):
                    return test.name
            best = os.path.join(folder, "best.o")
            self.compile(self.changed(m), best, "-O2")
            with open(best, "rb") as f:
                same = f.read() == self.best
            return None if same else ""


def end_children():
    """All processes that a test left behind are this one's, see main()."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children") as f:
            pids = [int(p) for p in f.read().split()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
        if not pids:
            return


def adopt():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def work(m):
    return m, ROOM.try_mutant(m)


def read_equivalents(path):
    """{(file, before, after): reason}"""
    known = {}
    with open(path) as f:
        text = re.sub(r"^#.*\n", "", f.read(), flags=re.M)
    for block in re.split(r"\n\s*\n", text.strip()):
        m = re.fullmatch(r"(\S+\.c): (.+)\n +-> (.*)\n((?: +\S.*\n?)+)", block)
        if block and not m:
            raise Failure(f"{path}: not FILE: LINE, -> LINE and a reason:\n{block}")
        if block:
            known[m[1], m[2].strip(), m[3].strip()] = m[4].strip()
    return known


def run_room(room, mutants, known, jobs, verbose):
    """Prints what survived and the score. True: that is enough."""
    global ROOM
    ROOM = room
    with tempfile.TemporaryDirectory() as folder:
        room.baseline(folder)
        with open(os.path.join(folder, "best.o"), "rb") as f:
            room.best = f.read()
    killed = survived = equivalent = 0
    unused = {k for k in known if k[0] == room.name}
    with multiprocessing.Pool(jobs, adopt) as pool:
        for m, killer in pool.imap(work, mutants):
            before, after = words = room.words(m)
            if verbose:
                print(f"{room.name}:{room.line(m)}: {before} -> {after}: "
                      f"{'no mutant' if killer is None else killer or 'survived'}", flush=True)
            if killer is None:
                continue
            if killer:
                killed += 1
            elif (room.name, *words) in known:
                unused.discard((room.name, *words))
                equivalent += 1
            else:
                survived += 1
                if not verbose:
                    print(f"{room.name}:{room.line(m)}: {before} -> {after}", flush=True)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        room.compile(room.source, os.path.join(folder, "m.o"), "-O0")
        for test in room.tests:
            if not room.passes(test, os.path.join(folder, "m.o"), folder):
                print(f"{room.name}: {test.name} fails without a change, now and then: "
                      "some may have survived")
                good = False
    if verbose:
        return True
    percent = 100 * killed // max(1, killed + survived)
    print(f"{room.name}: {percent} %: {killed} killed, {survived} survived, "
          f"{equivalent} equivalent", flush=True)
    good &= percent >= GOAL_PERCENT
    if len(mutants) == len(room.mutants):
        for _, before, after in sorted(unused):
            print(f"{room.name}: listed, but killed or not there: {before} -> {after}")
            good = False
        if 100 * equivalent > EQUIVALENT_PERCENT * (killed + survived + equivalent):
            print(f"{room.name}: more than {EQUIVALENT_PERCENT} % are listed as equivalent")
            good = False
    return good


def main():
    source_dir, build_dir = sys.argv[1:3]
    p = argparse.ArgumentParser(prog="mutate")
    p.add_argument("--list", action="store_true")
    p.add_argument("--sample", type=int)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("files", nargs="*", metavar="FILE[:LINE]")
    options = p.parse_args(sys.argv[3:])
    if not options.files:
        with open(os.path.join(build_dir, "Makefile")) as f:
            made = re.findall(r"^\S+\.lo: (modules/\S+\.c)$", f.read(), re.M)
        glue = re.compile("/(mod_oom|mod_oomguard|child|conf|parent|report|status|watch|watcher).c")
        options.files = sorted({m for m in made if not glue.search(m)})
    known = read_equivalents(os.path.join(source_dir, "tests/mutate.equivalent"))
    good = True
    for arg in options.files:
        name, _, line = arg.partition(":")
        room = Room(source_dir, build_dir, os.path.normpath(name))
        mutants = [m for m in room.mutants if not line or room.line(m) == int(line)]
        if options.sample and options.sample < len(mutants):
            mutants = sorted(random.Random(room.name).sample(mutants, options.sample))
        if options.list:
            for m in mutants:
                print(f"{room.name}:{room.line(m)}: " + " -> ".join(room.words(m)))
        else:
            good &= run_room(room, mutants, known, options.jobs, bool(line))
    return 0 if good else 1


if __name__ == "__main__":
    adopt()
    try:
        sys.exit(main())
    except Failure as e:
        print(f"mutate: {e}", file=sys.stderr)
        sys.exit(2)
