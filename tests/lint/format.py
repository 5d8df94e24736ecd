#!/usr/bin/python3
"""lint.format ROOT: clang-format would change nothing."""

import sys

import tree

BATCH = 50


def main():
    root = tree.root_of(sys.argv)
    tree.need("clang-format")
    names = tree.sources(root)

    def check(some):
        status, output = tree.run(["clang-format", "--dry-run", "-Werror", *some], root)
        first = {}      # finding of each file
        for line in output.splitlines():
            name = line.split(":", 1)[0]
            if name in some:
                first.setdefault(name, f"{line}\n  repair: clang-format -i {name}")
        if status != 0 and not first:
            return [f"clang-format failed: {output}"]
        return list(first.values())

    # It takes longer to start than to look at a file.
    batches = [names[i:i + BATCH] for i in range(0, len(names), BATCH)]
    tree.finish([finding for found in tree.each(check, batches) for finding in found], len(names))


main()
