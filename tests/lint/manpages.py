#!/usr/bin/python3
"""lint.manpages ROOT BUILD: man pages have every option and key that the programs have, and no
other; mandoc has nothing to say against them."""

import collections
import os
import re
import sys

import tree

MAN = "packaging/man"
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
# mandoc asks for what only OpenBSD's and NetBSD's pages have, and knows its own system's pages.
UNHEARD = re.compile(r"missing manual section|Mdocdate|operating system explicitly|"
                     r"referenced manual not found|possible typo in section name")


def options_of(text):
    """The long options of an mdoc text: Fl -name, however many on a line."""
    found = set()
    for line in text.splitlines():
        found |= set(re.findall(r"(?:Fl|,|\|)\s+-([a-z][a-z0-9-]+)", line))
    return found


def compare(page, what, wanted, found, allowed=frozenset()):
    for name in sorted(wanted - found):
        yield f"{page}: {what} {name} is missing"
    for name in sorted(found - wanted - allowed):
        yield f"{page}: {what} {name} is none"


def program(build, *words):
    status, output = tree.run([os.path.join(build, *words[0].split("/")), *words[1:]], build)
    if status != 0:
        sys.exit(f"{' '.join(words)}: {output}")
    return output


def scopes_of(text, commands):
    """Option: the commands in parentheses at the end of a sentence of its paragraph, if that is what
    stands there."""
    for item in re.split(r"^(?=\.(?:It|El))", text, flags=re.MULTILINE):
        names = re.findall(r"(?<=-)[a-z][a-z0-9-]+", item.split("\n", 1)[0])
        for told in re.findall(r"^\.Pq ([a-z ,-]+) \.$", item, re.MULTILINE):
            scope = set(told.split(" , "))
            if item.startswith(".It Fl") and scope <= commands:
                yield from ((name, scope) for name in names)


def client(root, build):
    page = f"{MAN}/acmeward.1"
    wanted = set()
    taken_by = collections.defaultdict(set)
    commands = re.findall(r"^  ([a-z-]+) ", program(build, "client/acmeward", "--help"), re.MULTILINE)
    for command in commands:
        text = program(build, "client/acmeward", command, "--help")
        options = set(re.findall(r"^  (?:-\w, |    )--([a-z0-9-]+)", text, re.MULTILINE))
        wanted |= options
        for option in options:
            taken_by[option].add(command)
    # Other spellings, and what certbot has and is refused here, may be in the page too.
    table = set(re.findall(r'^\s+(?:FLAG|TEXT|DOMAIN|ACCOUNT|REFUSED)\("([a-z0-9-]+)"',
                           tree.read(root, "client/options.c"), re.MULTILINE))
    text = tree.read(root, page)
    yield from compare(page, "option", wanted | {"version"}, options_of(text), table)
    for places in (r"^\.It Cm ([\w-]+)", r"^\.Nm\n\.Cm ([\w-]+)"):
        yield from compare(page, "command", set(commands), set(re.findall(places, text, re.MULTILINE)))
    for option, scope in scopes_of(text, set(commands)):
        if scope != taken_by[option]:
            yield f"{page}: --{option} is of {', '.join(sorted(taken_by[option]))}"


def daemons(root, _):
    shared = set(re.findall(r'\{"([a-z-]+)", (?:no|required)_argument',
                            tree.read(root, "common/program.c")))
    for main, page in (("signer/main.c", f"{MAN}/acmeward-signer.8"),
                       ("relay/main.c", f"{MAN}/acmeward-relay.8")):
        source = tree.read(root, main)
        wanted = shared | set(re.findall(r'\{"([a-z-]+)", &out->', source))
        start = source.index("usage[]")
        usage = set(OPTION.findall(source[start:source.index('";', start)]))
        yield from compare(f"{main}: usage", "option", wanted, usage)
        yield from compare(page, "option", wanted, options_of(tree.read(root, page)))


def usages(build):
    """Command: options, by the help."""
    lines = re.findall(r"^  ([a-z].*)$", program(build, "admin/acmeward-admin", "--help"), re.MULTILINE)
    found = {}
    for line in lines:
        words = re.match(r"[a-z-]+(?: [a-z][a-z0-9-]*(?![\w|-]))?", line).group()
        found[words] = set(OPTION.findall(line))
    return found


def admin(root, build):
    page = f"{MAN}/acmeward-admin.8"
    wanted = usages(build)
    text = tree.read(root, page)
    found = {}
    # A command may have several lines in the page: "audit prove SEQ", "audit prove --from FILE".
    for item in re.findall(r"^\.It Cm (.*)$", text, re.MULTILINE):
        words = re.match(r"[a-z-]+(?: [a-z][a-z0-9-]*)?", item).group()
        if words not in wanted and words.split()[0] in wanted:
            words = words.split()[0]
        found.setdefault(words, set()).update(options_of(item))
    yield from compare(page, "command", set(wanted), set(found))
    for command in sorted(set(wanted) & set(found)):
        yield from compare(f"{page}: {command}", "option", wanted[command], found[command])
    everywhere = set().union(*wanted.values()) | {"config", "socket", "json", "help", "version"}
    yield from compare(page, "option", set(), options_of(text) - everywhere)
    tables = {name for file in tree.sources(root, ("admin",))
              for name in re.findall(r'\.name = "([a-z0-9-]+)"', tree.read(root, file))}
    yield from compare("acmeward-admin --help", "option", tables - {"json"},
                       set().union(*wanted.values()) - {"json"})


TABLE = re.compile(r"struct aw_yaml_field (\w+)_fields\[\] = \{(.*?)\n\};", re.DOTALL)
ROW = re.compile(r'\{(?:\.name = |ROW\()"(\w+)"(.*?)(?=\n    \{)', re.DOTALL)
# Lists of mappings: the key in the file, its table.
LISTS = {"cas": "ca", "accounts": "account", "administrators.officers": "principal",
         "administrators.operators": "principal", "principals": "principal", "relays": "relay"}


def keys_of(tables, table, above=""):
    """Dotted keys of a table and those below it."""
    for name, rest in ROW.findall(tables[table] + "\n    {"):
        key = above + name
        yield key
        below = re.search(r"\.fields = (\w+)_fields", rest)
        inner = below.group(1) if below else LISTS.get(key)
        if inner:
            yield from keys_of(tables, inner, key + ".")


def readers(root, _):
    for source, table, page in (
            (("common/config.c", "common/config_ca.c", "common/config_relay.c", "common/config_token.c"),
             "root", f"{MAN}/acmeward-signer.yaml.5"),
            (("policy/file.c",), "policy", f"{MAN}/acmeward-policy.5")):
        tables = {name: rows for file in source
                  for name, rows in TABLE.findall(tree.read(root, file))}
        if table not in tables:
            table = next(name for name, rows in tables.items() if '"application"' in rows)
        found = set()
        for item in re.findall(r"^\.It Va (.*)$", tree.read(root, page), re.MULTILINE):
            found |= set(re.split(r" , Va ", item))
        yield from compare(page, "key", set(keys_of(tables, table)), found)
    page = f"{MAN}/acmeward-relay.yaml.5"
    source = tree.read(root, "relay/config.c")
    wanted = {member.split(".")[-1] for member in re.findall(r'(?:ROW|LIMIT|PORT)\("?(\w+)', source)}
    wanted |= set(re.findall(r'\.name = "(\w+)", \.kind = AW_YAML_MAPPING', source))
    found = {key.split(".")[-1] for item in re.findall(r"^\.It Va (.*)$", tree.read(root, page),
                                                       re.MULTILINE)
             for key in re.split(r" , Va ", item)}
    yield from compare(page, "key", wanted, found)
    page = f"{MAN}/acmeward.1"
    wanted = set(re.findall(r'ROW\("(\w+)"', tree.read(root, "client/config.c")))
    listed = re.search(r"^Configuration: (.*?)\.$", tree.read(root, page), re.MULTILINE).group(1)
    yield from compare(page, "key", wanted, set(re.split(r",\s*", listed)))


def mandoc(root, pages):
    status, output = tree.run(["mandoc", "-T", "lint", "-W", "warning", *pages], root)
    del status  # the lines count
    for line in output.splitlines():
        if line and not UNHEARD.search(line):
            yield line.removeprefix("mandoc: ")


def main():
    root = tree.root_of(sys.argv)
    build = sys.argv[2]
    tree.need("mandoc")
    pages = [name for name in tree.files(root) if name.startswith(MAN + "/")]
    findings = [finding for check in (client, daemons, admin, readers) for finding in check(root, build)]
    tree.finish(findings + list(mandoc(root, pages)), len(pages), "pages")


main()
