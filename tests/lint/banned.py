#!/usr/bin/python3
"""lint.banned ROOT: names that our C does not use, but for an explicit list of exceptions.

Exceptions: tests/lint/banned-allow.txt below ROOT, one a line: path:name:reason. An exception that
nothing needs any more is a finding too.
"""

import os
import re
import sys

import tree

ALLOW = "tests/lint/banned-allow.txt"

EVERYWHERE = {
    "alloca": "an attacker's length on the stack",
    "asctime": "one buffer for all threads; use aw_time_text",
    "atof": "no error, no range; parse strictly",
    "atoi": "no error, no range; parse strictly",
    "atol": "no error, no range; parse strictly",
    "atoll": "no error, no range; parse strictly",
    "cJSON_GetObjectItem": "ignores case; use the members of common/json.h",
    "cJSON_HasObjectItem": "ignores case; use the members of common/json.h",
    "ctime": "one buffer for all threads; use aw_time_text",
    "gets": "no length",
    "goto": "scope cleanup instead: AW_CLEANUP and AW_MOVE",
    "gmtime": "one buffer for all threads; use gmtime_r",
    "localtime": "one buffer for all threads; use localtime_r",
    "longjmp": "skips scope cleanup",
    "mktemp": "a race; use mkstemp or mkdtemp",
    "sprintf": "no length; use snprintf or aw_format",
    "stpcpy": "no length",
    "strcat": "no length",
    "strcpy": "no length",
    "strdupa": "an attacker's length on the stack",
    "strncat": "its length is not the buffer's",
    "strncpy": "may leave no NUL behind",
    "strndupa": "an attacker's length on the stack",
    "strtok": "one state for all threads; use strtok_r or strcspn",
    "tempnam": "a race; use mkstemp or mkdtemp",
    "tmpnam": "a race; use mkstemp or mkdtemp",
    "vsprintf": "no length; use vsnprintf or aw_format",
}

PRODUCT = {
    "C_Finalize": "ends the module for the whole process; only the last one out may",
    "C_Logout": "logs out every session of the process",
    "abort": "a library does not end the process; return a result",
    "cJSON_Parse": "lenient; use common/json.h",
    "cJSON_ParseWithLength": "lenient; use common/json.h",
    "cJSON_ParseWithLengthOpts": "lenient; use common/json.h",
    "cJSON_ParseWithOpts": "lenient; use common/json.h",
    "daemon": "forks; the service manager does this",
    "exit": "a library does not end the process; return a result",
    "_exit": "a library does not end the process; return a result",
    "fork": "a child inherits token sessions and can hang; posix_spawn before login",
    "getenv": "the environment configures nothing",
    "getgrgid": "one buffer for all threads; use getgrgid_r",
    "getgrnam": "one buffer for all threads; use getgrnam_r",
    "getpwnam": "one buffer for all threads; use getpwnam_r",
    "getpwuid": "one buffer for all threads; use getpwuid_r",
    "popen": "a shell",
    "putenv": "the environment is not ours to change",
    "rand": "predictable; use RAND_bytes",
    "random": "predictable; use RAND_bytes",
    "secure_getenv": "the environment configures nothing",
    "setenv": "the environment is not ours to change",
    "system": "a shell",
    "vfork": "a child inherits token sessions; posix_spawn before login",
}

# Not a name but a use of it.
PATTERNS = (
    (re.compile(r"\bCURLOPT_(?:\w+_)?SSL_VERIFY(?:PEER|HOST|STATUS)\b(?!\s*,\s*[12]L?\s*\))"),
     "CURLOPT_SSL_VERIFY", "TLS verification is always on: a literal 1 or 2"),
)

# Nothing below main prints; these folders have no command line of their own.
SILENT = {
    "perror": "nothing below main prints; return a result or log",
    "printf": "nothing below main prints; return a result or log",
    "puts": "nothing below main prints; return a result or log",
    "putchar": "nothing below main prints; return a result or log",
    "vprintf": "nothing below main prints; return a result or log",
}
SILENT_LAYERS = ("common", "policy", "pkcs11", "audit")

# Words that are good names for a variable: only a call of them is one.
WORDS = {"abort", "daemon", "exit", "gets", "rand", "random", "system"} | set(SILENT)

# Not a member access of that name (s->exit is a field), except Cryptoki's function list.
NAME = re.compile(r"(->|\.)?\s*\b([A-Za-z_]\w*)\b(\s*\()?")


def rules_of(layer):
    rules = dict(EVERYWHERE)
    if layer in tree.LAYERS:
        rules.update(PRODUCT)
    if layer in SILENT_LAYERS:
        rules.update(SILENT)
    return rules


def uses_in(root, name):
    """(line number, name, reason) of every banned name in a file."""
    rules = rules_of(name.split("/", 1)[0])
    code = tree.code_only(tree.read(root, name))
    for number, line in enumerate(code.split("\n"), 1):
        if re.match(r"\s*#\s*include\b", line):
            continue
        for pattern, word, reason in PATTERNS:
            if pattern.search(line):
                yield number, word, reason
        for access, word, call in NAME.findall(line):
            foreign = access and not word.startswith("C_")
            if word in rules and not foreign and (call or word not in WORDS):
                yield number, word, rules[word]


def read_allowed(root):
    """{(path, name)} and findings about the list itself."""
    allowed, findings = set(), []
    if not os.path.exists(os.path.join(root, ALLOW)):
        return allowed, findings
    for number, line in enumerate(tree.read(root, ALLOW).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(":", 2)
        if len(parts) != 3 or len(parts[2].strip()) < 10:
            findings.append(f"{ALLOW}:{number}: expected path:name:reason, found '{line}'")
        else:
            allowed.add((parts[0], parts[1]))
    return allowed, findings


def main():
    root = tree.root_of(sys.argv)
    names = tree.sources(root)
    allowed, findings = read_allowed(root)
    needed = set()
    for name in names:
        for number, word, reason in uses_in(root, name):
            needed.add((name, word))
            if (name, word) not in allowed:
                findings.append(f"{name}:{number}: {word}: {reason}")
    findings += [f"{ALLOW}: {path}:{word} is not needed (any more)"
                 for path, word in sorted(allowed - needed)]
    tree.finish(findings, len(names))


main()
