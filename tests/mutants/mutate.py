"""The mutator: single changes to a C file in the house style, each a way in which a decision can be wrong by one thing.

    negate      a guard, a bool that is kept or returned
    drop        a statement
    compare     < for <=, == for !=, and the others round
    logic       && for ||, ! taken away, true for false, a bit set for a bit cleared
    number      a literal or a count that is one too many; + for -

Left alone: assertions (they are checks themselves), words for people, declarations, loop headers over lists, tables."""
import re
from dataclasses import dataclass

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/) | (?P<directive>^[ ]*\#(?:[^\n]*\\\n)*[^\n]*) | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*') |
    (?P<name>[A-Za-z_]\w*) | (?P<number>\d\w*) |
    (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]]) |
    (?P<blank>\s+)""", re.X | re.S | re.M)
TYPES = {"struct", "enum", "union", "const", "static", "bool", "char", "int", "unsigned", "size_t", "void",
         "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int32_t", "int64_t"}
WORDS = {"text_add", "text_add_u64", "text_add_incarnation", "trace", "trace_words", "say"}
CHECKS = {"ASSERT", "IMPOSSIBLE", "_Static_assert", "stead_panic"}
OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+",
         "++": "--", "--": "++", "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "|": "&", "true": "false", "false": "true"}
KINDS = {**dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), "compare"),
         **dict.fromkeys(("&&", "||", "|=", "&=", "|", "true", "false"), "logic"),
         **dict.fromkeys(("+", "-", "++", "--", "+=", "-="), "number")}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int

    @property
    def end(self):
        return self.start + len(self.text)


@dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    last: int    # its last line
    start: int
    end: int
    new: str
    kind: str
    what: str    # as people read it: "old -> new"
    source: str  # the line it is on; of a short one, the line before too
    function: str

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]


def tokens_of(text):
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not C as we write it: {text[at:at + 40]!r}")
        if match.lastgroup not in ("comment", "directive", "blank"):
            found.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    return found


def closing(tokens, at):
    """The index of what closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        depth += tokens[i].text in "([{" and tokens[i].kind == "sign"
        depth -= tokens[i].text in ")]}" and tokens[i].kind == "sign"
        if depth == 0:
            return i
    raise ValueError("a bracket is not closed")


def bodies(tokens):
    """(name, first, last, returns bool) of each function's body, without its braces."""
    at, begin = 0, 0  # `begin`: where the present declaration begins
    while at < len(tokens):
        text = tokens[at].text
        if text == "{":
            end = closing(tokens, at)
            if tokens[at - 1].text == ")":
                head = [t.text for t in tokens[begin:at]]
                yield head[head.index("(") - 1], at + 1, end, "bool" in head[:head.index("(")] and "*" not in head[:head.index("(")]
                begin = end + 1
            at = end
        elif text == ";":
            begin = at + 1
        at += 1


class Finder:
    def __init__(self, file, text):
        self.file, self.text, self.tokens, self.found = file, text, tokens_of(text), []
        self.skipped = set()  # indexes of tokens that are left alone
        self.function = ""

    def add(self, first, last, new, kind, what):
        """Replaces the tokens first..last."""
        start, end = self.tokens[first].start, self.tokens[last].end
        line = self.text.count("\n", 0, start) + 1
        lines = self.text.split("\n")
        source = lines[line - 1].strip()
        if len(source) < 30:
            source = f"{lines[line - 2].strip()} {source}"
        self.found.append(Mutant(self.file, line, self.text.count("\n", 0, end) + 1, start, end, new, kind, re.sub(r"\s+", " ", what), source, self.function))

    def words(self, first, last):
        return self.text[self.tokens[first].start:self.tokens[last].end]

    def negate(self, first, last):
        old = self.words(first, last)
        if old not in ("true", "false") and first <= last and not self.flips(first, last):
            self.add(first, last, f"!({old})", "negate", f"{old} -> !({old})")

    def flips(self, first, last):
        """Is its negation that of its one sign, which is another mutant?"""
        texts = [token.text for token in self.tokens[first:last + 1]]
        alone = not {"&&", "||", "?"} & set(texts)
        return alone and (texts[0] == "!" or len([t for t in texts if t in ("==", "!=")]) == 1)

    def skip(self, first, last):
        self.skipped.update(range(first, last + 1))

    def drop(self, first, last, end):
        """The statement first..last (its semicolon) of a body that ends at `end`."""
        head = self.tokens[first].text
        if head in TYPES or head in WORDS or head in CHECKS or head in ("case", "default", "goto", "if", "else", "for", "while", "switch"):
            return
        if head == "return" and (last + 1 == end or self.tokens[last + 1].text in ("case", "default")):
            return
        if head == "break" and self.tokens[last + 1].text == "}" and last + 2 <= end:
            return  # the last of a switch
        if head == "(":  # (void)f()
            head = self.tokens[first + 3].text
            if head in WORDS or self.tokens[first + 3].text == "taken":
                return
        old = self.words(first, last)
        self.add(first, last, ";", "drop", f"{old} -> ;")

    def statements(self, first, end, returns_bool):
        at = first
        while at < end:
            text = self.tokens[at].text
            if text in ("if", "while"):
                close = closing(self.tokens, at + 1)
                self.negate(at + 2, close - 1)
                at = close + 1
            elif text == "for":
                close = closing(self.tokens, at + 1)
                self.loop(at + 2, close)
                at = close + 1
            elif text in ("switch",):
                at = closing(self.tokens, at + 1) + 1
            elif text in ("{", "}", "else", ";"):
                at += 1
            elif text in ("case", "default"):
                while self.tokens[at].text != ":":
                    self.skipped.add(at)
                    at += 1
                at += 1
            else:
                last = self.statement_end(at)
                self.statement(at, last, end, returns_bool)
                at = last + 1

    def loop(self, first, close):
        """A for header: its count is left alone, a further condition (after &&) is a guard."""
        semicolons = [i for i in range(first, close) if self.tokens[i].text == ";"]
        joined = [i for i in range(semicolons[0], semicolons[1]) if self.tokens[i].text == "&&"]
        if joined:
            self.negate(joined[-1] + 1, semicolons[1] - 1)
        self.skip(first, (joined[0] if joined else semicolons[1]))
        self.skip(semicolons[1], close)

    def statement_end(self, at):
        while self.tokens[at].text != ";":
            at = closing(self.tokens, at) + 1 if self.tokens[at].text in ("(", "[", "{") else at + 1
        return at

    def statement(self, first, last, end, returns_bool):
        head = self.tokens[first].text
        if head in CHECKS or head in WORDS:
            self.skip(first, last)
            return
        self.drop(first, last, end)
        if head == "return" and returns_bool:
            self.negate(first + 1, last - 1)
        if head == "bool" and self.tokens[first + 2].text == "=":
            self.negate(first + 3, last - 1)
        if head in TYPES:
            self.skip(first, first + 1)
            zero = [t.text for t in self.tokens[first:last + 1]][-4:] in (["{", "0", "}", ";"], ["}", "}", "}", ";"])
            if zero:
                self.skip(first, last)

    def signs(self, first, end):
        at = first
        while at < end:
            token = self.tokens[at]
            if token.text in WORDS or token.text in CHECKS:
                at = closing(self.tokens, at + 1) + 1
                continue
            if at not in self.skipped:
                self.sign(at)
            at += 1

    def sign(self, at):
        token, before = self.tokens[at], self.tokens[at - 1]
        value = before.kind in ("name", "number", "text") and before.text != "return" or before.text in (")", "]")
        if token.text in OTHER and (value or token.kind == "name" or token.text in ("++", "--")):
            if token.text == "-" and self.tokens[at + 1].text == ">":
                return
            self.add(at, at, OTHER[token.text], KINDS[token.text], f"{token.text} -> {OTHER[token.text]}")
        elif token.text == "!":
            self.add(at, at, "", "logic", "! taken away")
        elif token.kind == "number" and before.text != "{":
            number = re.match(r"(0x)?[0-9a-fA-F]+", token.text)
            if number and not token.text.startswith("0x"):
                digits = re.match(r"\d+", token.text).group()
                new = str(int(digits) + 1) + token.text[len(digits):]
                self.add(at, at, new, "number", f"{token.text} -> {new}")

    def all(self):
        for self.function, first, end, returns_bool in bodies(self.tokens):
            self.statements(first, end, returns_bool)
            self.signs(first, end)
        return sorted(set(self.found), key=lambda m: (m.start, m.end, m.new))


def mutants_of(file):
    with open(file) as source:
        return Finder(file, source.read()).all()


SWITCH = """extern int mutant;
int mutant;
__attribute__((constructor)) static void pick_mutant(void)
{
    extern char *getenv(const char *);
    extern int atoi(const char *);
    mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0;
}
void _fail(const char *const file, const int line) /* cmocka's: one failure is enough */
{
    extern int fflush(void *);
    extern void _exit(int);
    fflush(0);
    _exit(1);
}
"""


def parameters(tokens):
    """Their names, of the tokens between the brackets."""
    names, depth = [], 0
    for token in tokens:
        depth += token.text in "([" and token.kind == "sign"
        depth -= token.text in ")]" and token.kind == "sign"
        if token.text == "," and depth == 0:
            names.append("")
        elif token.kind == "name" and depth == 0:
            names = [*names[:-1], token.text]
    return [] if names == ["void"] else names


def switched(file, mutants):
    """The file with each of these mutants in it, as {number: mutant}: a copy of its function, taken if $MUTANT says so."""
    with open(file) as source:
        text = source.read()
    tokens, out, done, begin = tokens_of(text), [SWITCH], 0, 0
    for name, first, end, _ in bodies(tokens):
        at = first - 2  # of the closing bracket: back to the name
        while tokens[at].text != name or tokens[at + 1].text != "(":
            at -= 1
        begin = at
        while begin > 0 and tokens[begin - 1].text not in (";", "}"):
            begin -= 1
        start, brace, last = tokens[begin].start, tokens[first - 1].start, tokens[end].end
        inside = {n: m for n, m in mutants.items() if brace < m.start < last}
        if not inside:
            continue
        lead, tail = text[start:tokens[at].start], text[tokens[at].end:brace]
        given = ", ".join(parameters(tokens[at + 2:first - 2]))
        void = lead.split()[-1] == "void"
        line = text.count("\n", 0, start) + 1
        out += [text[done:start], f"{lead}{name}{tail};\n"]
        for n, m in inside.items():
            body = text[brace:m.start] + m.new + text[m.end:last]
            out.append(f'#line {line} "mutant-{n}"\n{lead}{name}__{n}{tail}{body}\n')
        out.append(f'#line {line} "{file}"\n{lead}{name}{tail}{{ switch (mutant) {{')
        for n in inside:
            call = f"{name}__{n}({given});"
            out.append(f" case {n}: {call + ' return;' if void else 'return ' + call}")
        out.append(" } " + text[brace + 1:last])
        done = last
    return "".join(out) + text[done:]
