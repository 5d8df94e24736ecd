"""What the linters share: which files there are, which tools, how findings are reported."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

# Folders of the product, lowest first.
LAYERS = ("common", "policy", "pkcs11", "audit", "csr", "jose", "hostkey", "client", "signer", "admin", "relay")
# Folders with C sources that are not part of the product.
OTHERS = ("softhsm-fixtures", "tests")
NOT_OURS = re.compile(r"^(build|build-.*|\.git|\.quickstart|__pycache__)$")


def root_of(arguments):
    """The first argument, as an absolute path."""
    if len(arguments) < 2 or not os.path.isdir(arguments[1]):
        sys.exit(f"usage: {os.path.basename(arguments[0])} ROOT-FOLDER ...")
    return os.path.realpath(arguments[1])


def files(root):
    """Every file that is or could be committed, relative to the root."""
    if os.path.exists(os.path.join(root, ".git")):
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={root}", "-C", root, "ls-files", "-z", "--cached",
             "--others", "--exclude-standard"], capture_output=True, check=True).stdout
        found = [name for name in listed.decode().split("\0") if name]
    else:
        found = []
        for folder, inner, names in os.walk(root):
            inner[:] = [name for name in inner if not NOT_OURS.match(name)]
            found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted({name for name in found if os.path.isfile(os.path.join(root, name))})


def sources(root, folders=LAYERS + OTHERS, endings=(".c", ".h")):
    """C files of the given folders."""
    return [name for name in files(root)
            if name.endswith(endings) and name.split("/", 1)[0] in folders]


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()


def need(*tools):
    """Ends with a message when a tool is missing: a linter that did not run has not passed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; run: sh packaging/install-packages.sh lint")


def each(function, items):
    """function(item) for all, as many at once as there are cores; results in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


def run(command, root, **options):
    """Status and output (both streams) of a command in the root folder."""
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, **options)
    return done.returncode, done.stdout


def finish(findings, looked_at, noun="files"):
    """Prints the findings and ends. Nothing to look at is a failure: the linter is set up wrong."""
    for finding in findings:
        print(finding)
    if not looked_at:
        print(f"no {noun} to look at")
    print(f"{len(findings)} findings in {looked_at} {noun}")
    sys.exit(1 if findings or not looked_at else 0)


BLANKED = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_only(text):
    """C without comments and literals, line numbers unchanged; #include lines keep their names."""
    return BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
