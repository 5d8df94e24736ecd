#!/usr/bin/python3
"""lint.commands ROOT BUILD: every command line of acmeward's programs that is printed somewhere, in
documents, man pages, examples, units, scripts or messages, names commands and options that exist.

What counts as a command line: the lines of a document's fenced blocks, what stands in backquotes there,
literal lines of man pages, and in other files each mention that goes on with a command's name."""

import os
import re
import sys

import tree

OPTION = re.compile(r"--([a-z][a-z0-9-]*)")
SHORT = re.compile(r"-([a-zA-Z])$")
PROGRAM = re.compile(r"(?<![\w./-])(?:/usr/s?bin/|build/dev/\w+/)?(acmeward(?:-admin|-signer|-relay)?)(?= |$)"
                     r"(?! *[=:])")
# Where a command ends in a line of shell, prose or mdoc.
END = re.compile(r" (?:\||\|\||&&?|#|>>?|<|2>)(?: |$)|[;`)]|,(?: |$)|\.(?: |$)|: |\\n|\\t|\\\"|'(?: |$)|\$\(| \\$")
ROOT_OPTIONS = {"config", "socket", "json", "help", "version"}
# "adduser acmeward GROUP": the user.
USER = re.compile(r"adduser acmeward \S+|-o acmeward\b|-u acmeward\b")


def program(build, *words):
    status, output = tree.run([os.path.join(build, words[0]), *words[1:]], build)
    if status != 0:
        sys.exit(f"{' '.join(words)}: {output}")
    return output


def choices(text):
    """The words that must come after a command: {"create", "show"} of "create|show"."""
    first = text.split(" ", 1)[0]
    return set(first.split("|")) if re.fullmatch(r"[a-z-]+(?:\|[a-z-]+)+", first) else set()


def admin_commands(usage):
    """{(noun, verb): (options, words of which one must follow)}; without verb: (noun,)."""
    found = {}
    for line in re.findall(r"^  ([a-z].*)$", usage, re.MULTILINE):
        words = re.match(r"[a-z-]+(?: [a-z][a-z0-9-]*(?![\w|-]))?", line).group()
        found[tuple(words.split())] = (set(OPTION.findall(line)) | ROOT_OPTIONS,
                                       choices(line[len(words):].strip()))
    return found


def client_commands(root, build):
    overview = program(build, "client/acmeward", "--help")
    found = {}
    for command in re.findall(r"^  ([a-z-]+) ", overview, re.MULTILINE):
        text = program(build, "client/acmeward", command, "--help")
        found[(command,)] = (set(OPTION.findall(text)) | set(re.findall(r"^  -(\w),", text, re.MULTILINE))
                             | {"help"}, set())
    # What no help tells: other spellings, and certbot's options that are accepted or refused.
    table = set(re.findall(r'^\s+[A-Z]+\("([a-z0-9-]+)"', tree.read(root, "client/options.c"), re.MULTILINE))
    silent = table - set().union(*(options for options, _ in found.values()))
    found = {command: (options | silent, following) for command, (options, following) in found.items()}
    found[("orders", "resume")] = found[("orders",)]
    return found


def daemon_commands(root, build, name):
    return {(): (set(OPTION.findall(program(build, f"{name}/acmeward-{name}", "--help"))), set())}


def fault(commands, name, words):
    """What is wrong with the command line; None if nothing is."""
    words = list(words)
    either = next((word for word in words[:3] if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word)), None)
    if either:
        return next(filter(None, (fault(commands, name, [one if word == either else word for word in words])
                                  for one in either.split("|"))), None)
    if name == "acmeward-admin":
        # Options of the program come before the command.
        while words and words[0].startswith("--"):
            option = words.pop(0)
            if option[2:].split("=")[0] not in ROOT_OPTIONS:
                return f"there is no option {option} before the command"
            if option in ("--config", "--socket") and words:
                words.pop(0)
    table = commands[name]
    command = next((tuple(words[:n]) for n in (2, 1, 0) if tuple(words[:n]) in table), None)
    if command is None:
        nouns = {key[0] for key in table if len(key) == 2}
        if not words or words[0] in nouns and len(words) == 1 or not words[0][0].isalnum():
            return None
        return f"there is no command {' '.join(words[:2])}"
    options, following = table[command]
    rest = words[len(command):]
    if following and rest and re.fullmatch(r"[a-z-]+", rest[0]) and rest[0] not in following:
        return f"{' '.join(command)}: {rest[0]} is none of {', '.join(sorted(following))}"
    for word in rest:
        option = re.match(r"\[*--([a-z][a-z0-9-]*)", word) or re.match(r"\[*-([a-z])\]*$", word)
        if option and option.group(1) not in options:
            return f"{' '.join((name, *command))} has no option {option.group()}"
    return None


def lines_of(text):
    """Command lines in a piece of text: program and words, up to what ends a command."""
    text = USER.sub("", text)
    for match in PROGRAM.finditer(text):
        rest = text[match.end():]
        end = END.search(rest)
        yield match.group(1), (rest[:end.start()] if end else rest).split()


def document(text):
    """(line number, command line) of Markdown: fenced blocks, and backquotes outside."""
    fenced, carried, number = False, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            if line.endswith("\\"):
                carried += line[:-1]
                continue
            yield number, re.sub(r" +# .*", "", carried + line)
            carried = ""
    # A span in backquotes may go over a line's end.
    outside = re.sub(r"^( *```).*?^ *```", lambda m: "\n" * m.group().count("\n"), text,
                     flags=re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"`([^`]+)`", outside):
        yield outside[:match.start()].count("\n") + 1, match.group(1).replace("\n", " ")


def page(text):
    """Literal lines of a man page; mdoc's macros are taken away."""
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"^\.(?:Dl|Ql|Li|Ic) ", "", line)
        if not line.startswith("."):
            yield number, line.replace("\\-", "-").replace("\\&", "")


def strings(text):
    """String literals of C; those that stand beside each other are one."""
    joined = re.sub(r'"\s*\n\s*"', lambda m: "\x00" * m.group().count("\n"), text)
    for match in re.finditer(r'"((?:[^"\\\n]|\\.)*)"', joined):
        number = joined[:match.start()].count("\n") + joined[:match.start()].count("\x00") + 1
        yield number, match.group(1).replace("\x00", "")


def kind_of(name):
    """How a file is read, and whether each command must be one: not in prose and messages."""
    if name.endswith(".md"):
        return document, True
    if name.startswith("packaging/man/"):
        return page, False
    if name.endswith((".c", ".h")) and name.split("/", 1)[0] in tree.LAYERS:
        return strings, False
    if name.startswith("packaging/") and not name.startswith("packaging/completion/"):
        return lambda text: enumerate(text.splitlines(), 1), False
    return None, False


def findings_in(commands, name, text):
    reader, strict = kind_of(name)
    for number, line in reader(text):
        # Documents leave the program away where the command tells it: "account rotate NAME --cancel".
        if strict and tuple(line.split()[:2]) in commands["acmeward-admin"]:
            line = "acmeward-admin " + line
        # A command within another one's option is one of its own.
        inner = re.findall(r"""--[a-z-]+-hook ["'](acmeward [^"']*)["']""", line)
        plain = re.sub(r"""(--[a-z-]+-hook) ["'][^"']*["']""", r"\1 HOOK", line)
        for program_name, words in (found for part in (plain, *inner) for found in lines_of(part)):
            words = [word.strip("\"'") for word in words]
            table = commands[program_name]
            known = {key[0] for key in table if key}
            if not strict and (not words or words[0] not in known and not words[0].startswith("-")):
                continue
            wrong = fault(commands, program_name, words)
            if wrong:
                yield f"{name}:{number}: {program_name} {' '.join(words)}: {wrong}"


# A linter that cannot fail is worth nothing: lines, and what must be said of them.
SELF = (
    ("a.md", "Say `acmeward-admin eab list`.", None),
    ("a.md", "Say `acmeward-admin eab lost`.", "there is no command eab lost"),
    ("a.md", "```\nx | acmeward-admin eab list \\\n  --quick | y\n```", "has no option --quick"),
    ("a.md", "```\nacmeward-admin eab list | y --quick\n```", None),
    ("a.md", "Say `eab list --quick`.", "has no option --quick"),
    ("a.md", "Say `acmeward-admin eab key create|turn`.", "turn is none of create, show"),
    ("a.md", "```\nx --deploy-hook \"acmeward certonly --out a\" -d b\n```", "has no option --out"),
    ("a.md", "Say `acmeward-admin --loud eab list`.", "no option --loud before"),
    ("a.md", "Say `acmeward-admin eab key turn`.", "turn is none of create, show"),
    ("a.md", "Say `acmeward certonly -d a --standalon`.", "has no option --standalon"),
    ("a.md", "`runuser -u acmeward -- acmeward-signer --probe`", "has no option --probe"),
    ("packaging/man/a.1", ".Dl acmeward-admin eab list --quick\n", "has no option --quick"),
    ("packaging/x.service", "ExecStart=/usr/bin/acmeward certonly --daily\n", "has no option --daily"),
    ("admin/a.c", 'x("say acmeward-admin "\n  "eab list --quick");', "has no option --quick"),
    ("admin/a.c", 'x("acmeward-admin does that");', None),
)


def selftest():
    commands = {"acmeward": {("certonly",): ({"standalone", "d"}, set())},
                "acmeward-admin": {("eab", "list"): (ROOT_OPTIONS, set()),
                                   ("eab", "key"): (ROOT_OPTIONS, {"create", "show"})},
                "acmeward-signer": {(): ({"probe-token"}, set())}, "acmeward-relay": {(): (set(), set())}}
    for name, text, wanted in SELF:
        found = list(findings_in(commands, name, text))
        if (wanted is None) != (not found) or wanted and wanted not in found[0]:
            sys.exit(f"lint.commands itself: {text!r}: {found}, expected {wanted}")


def main():
    root = tree.root_of(sys.argv)
    build = sys.argv[2]
    selftest()
    commands = {"acmeward": client_commands(root, build),
                "acmeward-admin": admin_commands(program(build, "admin/acmeward-admin", "--help"))}
    for name in ("signer", "relay"):
        commands[f"acmeward-{name}"] = daemon_commands(root, build, name)
    read = [name for name in tree.files(root) if kind_of(name)[0]]
    tree.finish([finding for name in read for finding in findings_in(commands, name, tree.read(root, name))],
                len(read))


main()
