#!/usr/bin/env python3
"""Words that make a reader translate stay out of code, comments, documents and names of tests.

The table holds the worst ones only, each with the word to use. An exception stands with its reason in ALLOWED."""
import pathlib
import re
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
PLACES = ("src", "include", "web", "docs", "README.md", "packaging", "scripts", "certs", "tests", "findings", "CMakeLists.txt")
ENDINGS = {".c", ".h", ".py", ".js", ".mjs", ".css", ".html", ".md", ".toml", ".txt", ".sh", ".service", ".1", ".8", ""}
LEFT_OUT = ("tests/fuzz/corpus/", "tests/docs/test_words.py")  # bytes of any kind; the table itself

WORDS = {  # a name counts as the words that it is made of: worker_ears holds "ears"
    r"he|him|his|himself": "it or they",
    r"tombs?|bury|buries|buried": "closing state; on_failure",
    r"lobby_\w+|struct lobby": "handshake queue",
    r"strangers?": "new clients",
    r"obeys?|obeyed": "handle, carry out, follow",
    r"surveys?": "scrape",
    r"farewells?": "close_timer",
    r"last_words": "final_transcript",
    r"(give|gives|gave)_way": "duck",
    r"(take|takes|took)_back": "flush",
    r"leftovers?": "fade_tail, or what it is that is left",
    r"deaf": "detached, stalled",
    r"ears": "input queue, bridge_input",
    r"unheard": "dropped",
    r"in[ _]vain": "without success",
    r"who(so)?ever": "everybody who, the one that, any",
    r"but[ _]for": "except",
    r"so (many|long|much)(?! as\b)": "the number or the time itself",
    r"begets?|begat": "makes",
    r"minds": "requires, refuses",
    r"once around": "wrapped",
    r"wants into": "asks to join",
}
CASES = [  # names of test cases
    r"\b(test|stage_test)\((what|who|whom|whose|whoever|whatever)_\w+",
    r"\bstatic void (what|who|whom|whose|whoever|whatever)_\w+\(void \*\*",
    r"\bdef test_(what|who|whom|whose|whoever|whatever)_\w+",
]

ALLOWED = [  # file, what stands in the line, why
    (r"src/room/metrics\.c|docs/\w+\.md|tests/peers/\w+\.py", r"bridge_unheard_milliseconds_total",
     "the name of a metric is seen from outside"),
    (r"tests/(peers/test_openai\.py|unit/bridge/test_ai_response\.c)", r"\bunheard\b|unheard_items?_",
     "an item of which nobody heard anything, whatever was dropped"),
    (r"tests/peers/test_tools\.py", r"unheard_of", "the name of a tool that does not exist"),
    (r"tests/support/test\.h|tests/unit/bridge/ai_stage\.h", r"TEST\(what_holds\)", "stands for any name"),
]

TABLE = [(re.compile(rf"(?<![a-z])(?:{word})(?![a-z])"), use) for word, use in WORDS.items()] + \
    [(re.compile(case), "a sentence with a subject, as a_flush_ends_the_sound") for case in CASES]
ANY = re.compile("|".join(words.pattern for words, _ in TABLE))


def is_allowed(name, line):
    return any(re.fullmatch(file, name) and re.search(what, line) for file, what, _ in ALLOWED)


def faults(name, text):
    """What is wrong with a file, one line each."""
    for number, line in enumerate(text.splitlines(), 1):
        if ANY.search(line.lower()) and not is_allowed(name, line):
            for words, use in TABLE:
                if match := words.search(line.lower()):
                    yield f'{name}:{number}: "{match.group()}" -> {use}'


def files():
    for place in PLACES:
        top = TOP / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = path.relative_to(TOP).as_posix()
            if path.is_file() and path.suffix in ENDINGS and "__pycache__" not in name and not name.startswith(LEFT_OUT):
                yield name, path.read_text(errors="replace")


class Words(unittest.TestCase):
    def test_no_file_holds_one_of_the_words(self):
        found = [fault for name, text in files() for fault in faults(name, text)]
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_each_kind_of_fault_is_found(self):
        for line in ("/* he is not told */", "\tbury(c);", "struct worker_ears e;", "Such lines are sent in vain.",
                     "TOMB_SIZE", "leave after so long", "all but for the last", "struct lobby *l;",
                     "TEST(what_is_sent_arrives)", "STAGE_TEST(who_speaks_is_heard)",
                     "static void who_speaks_is_heard(void **state)", "    def test_whoever_asks_is_answered(self):"):
            self.assertTrue(list(faults("src/x.c", line)), line)

    def test_other_lines_are_left_alone(self):
        for line in ("so long as it lasts", "years of history", 'room = "lobby"', "static void what_is(struct x *x)",
                     "const who_is = 1;", "the end", "bytes left over", "TEST(a_flush_ends_the_sound)"):
            self.assertFalse(list(faults("src/x.c", line)), line)

    def test_every_exception_is_needed(self):
        texts = dict(files())
        for file, what, why in ALLOWED:
            self.assertTrue(any(re.fullmatch(file, name) and re.search(what, text) for name, text in texts.items()), why)


if __name__ == "__main__":
    unittest.main()
