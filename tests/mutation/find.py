# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a C source can be changed, and into what."""
import collections
import re

from clang import cindex
from clang.cindex import CursorKind as K, StorageClass, TypeKind as T

# [start, end) of the source, in bytes, becomes text. node: of the expression or the statement
# that this changes; None where nothing can be chosen at run time.
Mutant = collections.namedtuple("Mutant", "start end text node")

OPERATORS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",),
    "&": ("|",), "|": ("&",), "^": ("|",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "*=": ("/=",), "/=": ("*=",), "%=": ("/=",),
    "&=": ("|=",), "|=": ("&=",), "^=": ("|=",), "<<=": (">>=",), ">>=": ("<<=",),
}
ORDERS = ("<", "<=", ">", ">=")
LITERALS = (K.INTEGER_LITERAL, K.CHARACTER_LITERAL, K.FLOATING_LITERAL, K.STRING_LITERAL)
JUMPS = (K.BREAK_STMT, K.CONTINUE_STMT, K.GOTO_STMT)
# Nothing in them runs.
DEAD = (K.STRUCT_DECL, K.UNION_DECL, K.ENUM_DECL, K.TYPEDEF_DECL, K.STATIC_ASSERT,
        K.CXX_UNARY_EXPR, K.PARM_DECL, K.FIELD_DECL)


class Failure(Exception):
    """Nothing can be said of mutants."""


def span(cursor):
    return cursor.extent.start.offset, cursor.extent.end.offset


def bare(cursor):
    """Without parentheses, and casts that nobody wrote."""
    while cursor.kind in (K.UNEXPOSED_EXPR, K.PAREN_EXPR):
        inner = list(cursor.get_children())
        if len(inner) != 1:
            break
        cursor = inner[0]
    return cursor


class Finder:
    """Finds the mutants of one source."""

    def __init__(self, path, flags):
        with open(path, "rb") as f:
            self.source = f.read()
        unit = cindex.Index.create().parse(path, args=flags)
        errors = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if errors:
            raise Failure(errors[0])
        found = {}
        self.add = lambda m: found.setdefault(m[:3], m)
        for cursor in unit.cursor.get_children():
            if cursor.location.file and cursor.location.file.name == path:
                self.visit(cursor, None, False)
        self.found = sorted(found.values())

    def text(self, cursor):
        start, end = span(cursor)
        return self.source[start:end].decode()

    def change(self, cursor, start, end, text):
        self.add(Mutant(start, end, text, span(cursor) if self.chosen else None))

    def replace(self, cursor, text):
        self.change(cursor, *span(cursor), text)

    def operator(self, cursor, children):
        """The operator of a binary expression, and where it stands; it is no macro's."""
        start, end = span(children[0])[1], span(children[-1])[0]
        between = self.source[start:end].decode()
        name = re.sub(r"/\*.*?\*/", "", between, flags=re.S).strip()
        return (name, start + between.index(name)) if name in OPERATORS else (None, 0)

    def condition(self, cursor):
        """What is asked, if it is no operator that has mutants of its own."""
        cursor = bare(cursor)
        text = self.text(cursor)
        if cursor.kind == K.BINARY_OPERATOR:
            name = self.operator(cursor, list(cursor.get_children()))[0]
            if name in ORDERS or name in ("==", "!=", "&&", "||"):
                return
        if text not in ("true", "false") and text[:1] != "!" and cursor.kind not in LITERALS:
            self.replace(cursor, f"!({text})")

    def statement(self, cursor):
        if cursor.kind.is_expression() or cursor.kind in JUMPS:
            self.replace(cursor, "")

    def semicolons(self, cursor):
        """Between which the condition of a for statement stands."""
        depth, places = 0, []
        start, end = span(cursor)
        for m in re.finditer(rb"'(?:\\.|[^'\\])+'|\"(?:\\.|[^\"\\])*\"|/\*.*?\*/|[();]",
                             self.source[start:end], re.S):
            depth += {b"(": 1, b")": -1}.get(m[0], 0)
            if m[0] == b";" and depth == 1:
                places.append(start + m.start())
            if m[0] == b")" and depth == 0:
                break
        return places if len(places) == 2 else (0, 0)

    def visit(self, cursor, result, chosen):
        """result: of the function around. chosen: at run time, if this is to be a mutant."""
        kind, children = cursor.kind, list(cursor.get_children())
        # A number that is chosen becomes no vector by itself.
        self.chosen = chosen = chosen and cursor.type.get_canonical().kind != T.VECTOR
        if kind in DEAD:
            return
        if kind == K.FUNCTION_DECL:
            result, chosen = cursor.result_type.get_canonical().kind, True
            children = [c for c in children if c.kind == K.COMPOUND_STMT]
        elif kind == K.VAR_DECL:
            children = self.initial(cursor, children, result)
            chosen = chosen and cursor.storage_class != StorageClass.STATIC
        elif kind == K.IF_STMT:
            self.condition(children[0])
        elif kind == K.FOR_STMT:
            first, second = self.semicolons(cursor)
            for c in children[:-1]:
                if first < span(c)[0] < second:
                    self.condition(c)
        elif kind in (K.WHILE_STMT, K.DO_STMT):
            self.condition(children[0 if kind == K.WHILE_STMT else 1])
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
        bodies = {K.COMPOUND_STMT: children, K.IF_STMT: children[1:], K.DO_STMT: children[:1]}
        if kind in (K.WHILE_STMT, K.FOR_STMT, K.CASE_STMT, K.DEFAULT_STMT, K.LABEL_STMT):
            bodies[kind] = children[-1:]
        for c in bodies.get(kind, ()):
            self.statement(c)
        for c in children:
            self.visit(c, result, chosen and not (kind == K.CASE_STMT and c == children[0]))

    def initial(self, cursor, children, result):
        """The initial value of a variable, and of its other children (sizes) none."""
        init = children[-1] if children else None
        if init is None or b"=" not in self.source[cursor.location.offset:span(init)[0]]:
            return []
        scalar = cursor.type.get_canonical().kind not in (
            T.RECORD, T.CONSTANTARRAY, T.INCOMPLETEARRAY)
        if result is not None and scalar and bare(init).kind not in LITERALS:
            self.chosen = cursor.storage_class != StorageClass.STATIC
            self.replace(init, "0")
        return [init]

    def binary(self, cursor, children):
        name, start = self.operator(cursor, children)
        for other in OPERATORS.get(name, ()):
            self.change(cursor, start, start + len(name), other)
        if name in ("&&", "||"):
            for c in children:
                self.condition(c)
        # The edges that an order has say more than its constants do.
        return [c for c in children if name not in ORDERS or bare(c).kind not in LITERALS]

    def unary(self, cursor, children):
        start, end = span(cursor)
        text = self.text(cursor)
        for name, other in ("++", "--"), ("--", "++"):
            if text.startswith(name):
                self.change(cursor, start, start + 2, other)
            elif text.endswith(name):
                self.change(cursor, end - 2, end, other)
        if re.match("[!~]|-[^-]", text):
            self.change(cursor, start, span(children[0])[0], "")

    def returned(self, cursor, result):
        text = self.text(cursor)
        if bare(cursor).kind in LITERALS or re.fullmatch(r"\(?-\w+\)?", text):
            return
        for value in ("true", "false") if result == T.BOOL else ("0",):
            if result != T.RECORD and text != value:
                self.replace(cursor, value)

    def literal(self, cursor):
        text = self.text(cursor)
        number = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text)
        if text in ("true", "false"):
            self.replace(cursor, "false" if text == "true" else "true")
        elif number:
            n = int(number[1], 16 if "x" in text.lower() else 8 if text[0] == "0" else 10)
            for other in (n + 1, n - 1) if n > 0 else (1,):
                self.replace(cursor, f"{other}{number[2]}")
        elif re.fullmatch(r"'(\\.|\\x\w+|\\\d+|[^'\\])'|[\d.]+(e[-+]?\d+)?", text):
            self.replace(cursor, f"({text} + 1)")
