#!/usr/bin/python3
"""lint.named_files ROOT: what documents and comments say of the tree is there.

Every file that a document names in backquotes, or a C comment by its path, exists; so does every
place that a document links to. docs/architecture.md's table of folders has each folder, and no other,
its section on threads each file of the signer that starts one.
"""

import os
import re
import sys

import tree

ARCHITECTURE = "docs/architecture.md"
OURS = r"[\w-]+\.(?:c|h|py|sh|cmake|varlink|md)"
QUOTED = re.compile(rf"`(?!(?:unit|e2e)\.)((?:[\w-]+/)*{OURS})(?:`|[ (:])")
COMMENTED = re.compile(rf"(?<![\w/.<~-])((?:[\w-]+/)+{OURS})\b")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)")
FOLDER_ROW = re.compile(r"^\| `([\w-]+)/` \|", re.M)
# What a document names that is not a file of this tree: files of libraries, and of its readers.
FOREIGN = {"pkcs11.h"}


def line_of(text, place):
    return text.count("\n", 0, place) + 1


def anchors_of(text):
    """The anchors of a document's headings, as its readers' programs make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_named(path, names, basenames):
    return path in names if "/" in path else path in basenames or path in FOREIGN


def links_of(root, name, text, names):
    """Links of a document that lead nowhere."""
    for found in LINK.finditer(text):
        target, anchor = found.groups()
        if re.match(r"[a-z]+:", target):
            continue
        path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
        if path not in names:
            yield f"{name}:{line_of(text, found.start())}: links to {path}, which is not there"
        elif anchor and anchor not in anchors_of(tree.read(root, path)):
            yield f"{name}:{line_of(text, found.start())}: {path} has no heading #{anchor}"


def of_document(root, name, names, basenames):
    text = tree.read(root, name)
    for found in QUOTED.finditer(text):
        if not is_named(found.group(1), names, basenames):
            yield f"{name}:{line_of(text, found.start())}: there is no file {found.group(1)}"
    yield from links_of(root, name, text, names)


def of_source(root, name, names):
    text = tree.read(root, name)
    for comment in COMMENT.finditer(text):
        for found in COMMENTED.finditer(comment.group()):
            if found.group(1) not in names:
                line = line_of(text, comment.start() + found.start())
                yield f"{name}:{line}: there is no file {found.group(1)}"


def threads_of(root, names):
    """Files of the signer's processes that start a thread; signer/thread.c does so for others."""
    for name in sorted(names):
        if re.match(r"(signer|audit|pkcs11|policy)/.*\.c$", name) and name != "signer/thread.c" \
                and "pthread_create(" in tree.read(root, name):
            yield name


def of_architecture(root, names):
    """Folders and threads against the tables."""
    if ARCHITECTURE not in names:
        yield f"{ARCHITECTURE}: is not there"
        return
    text = tree.read(root, ARCHITECTURE)
    told = set(FOLDER_ROW.findall(text))
    there = {name.split("/", 1)[0] for name in names if "/" in name and name[0] != "."}
    for folder in sorted(there - told):
        yield f"{ARCHITECTURE}: the table of folders has no row for {folder}/"
    for folder in sorted(told - there):
        yield f"{ARCHITECTURE}: the table of folders has {folder}/, which is not there"
    section = text.partition("\n## Threads\n")[2].partition("\n## ")[0]
    for name in threads_of(root, names):
        if f"`{name}`" not in section:
            yield f"{ARCHITECTURE}: {name} starts a thread that the section Threads does not have"


def main():
    root = tree.root_of(sys.argv)
    names = set(tree.files(root))
    basenames = {os.path.basename(name) for name in names}
    documents = sorted(name for name in names if name.endswith(".md"))
    findings = [finding for name in documents for finding in of_document(root, name, names, basenames)]
    findings += [finding for name in tree.sources(root) for finding in of_source(root, name, names)]
    tree.finish([*findings, *of_architecture(root, names)], len(documents), "documents")


if __name__ == "__main__":
    main()
