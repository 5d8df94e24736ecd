"""A real sshd on a high port of loopback, with login accounts of its own.

    with Sshd(folder, {"games": ["restrict,command=... ssh-ed25519 AAAA..."]}) as sshd:
        sshd.port, sshd.known_hosts, sshd.cut(), sshd.stop(), sshd.start()

Two uids need root. The accounts are users of this system; for sshd alone, in a mount namespace of
its own, /etc/passwd gives them a shell and a home below the folder. Nothing is left behind.
"""

import os
import pwd
import signal
import socket
import subprocess

from world import environment, free_ports, run, wait_until

SSHD = "/usr/sbin/sshd"
# /run/sshd is compiled into sshd; the namespace has it, whether or not the system does.
START = """mount --bind "$1/passwd" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd &&
exec %s -D -e -f "$1/sshd_config"
""" % SSHD

# A command before another. A user needs a user namespace too, which a root that was changed into
# (packaging/test-debian13.sh) does not allow.
NAMESPACE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")


def why_not():
    """Why there can be no sshd here; None: there can."""
    if os.geteuid() != 0:
        return "needs root, to log in as other users"
    if not os.path.exists(SSHD):
        return "needs sshd (package openssh-server)"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "needs a mount namespace, which this container is not allowed"
    return None


def make_key(path, kind="ed25519"):
    """A key pair; returns the public half's path."""
    size = ["-b", "2048"] if kind == "rsa" else []
    run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", os.path.basename(path), "-f", path])
    return path + ".pub"


class Sshd:
    def __init__(self, folder, accounts, more=""):
        self.folder = folder
        self.accounts = accounts
        self.more = more        # lines of sshd_config
        self.port = free_ports(1)[0]
        self.process = None
        self.known_hosts = os.path.join(folder, "known_hosts")
        self.log_file = os.path.join(folder, "sshd.log")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def make_homes(self):
        for user, lines in self.accounts.items():
            entry = pwd.getpwnam(user)
            home = self.path(user)
            os.makedirs(os.path.join(home, ".ssh"))
            self.write(f"{user}/.ssh/authorized_keys", "".join(f"{line}\n" for line in lines))
            for place in (home, os.path.join(home, ".ssh"),
                          os.path.join(home, ".ssh", "authorized_keys")):
                os.chown(place, entry.pw_uid, entry.pw_gid)

    def write_passwd(self):
        with open("/etc/passwd", encoding="utf-8") as file:
            entries = [line.rstrip("\n").split(":") for line in file]
        for entry in entries:
            if entry[0] in self.accounts:
                entry[5:] = [self.path(entry[0]), "/bin/sh"]
        with open(self.path("passwd"), "w", encoding="utf-8") as file:
            file.writelines(":".join(entry) + "\n" for entry in entries)

    def write_known_hosts(self, public=None):
        with open(public or self.path("host.pub"), encoding="ascii") as file:
            kind, key = file.read().split()[:2]
        self.write("known_hosts", f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def __enter__(self):
        os.makedirs(self.folder)
        make_key(self.path("host"))
        self.make_homes()
        self.write_passwd()
        self.write_known_hosts()
        self.write("sshd_config", f"""ListenAddress 127.0.0.1
Port {self.port}
HostKey {self.path("host")}
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel INFO
{self.more}""")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", START, "sshd",
                 self.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=environment())
        wait_until("sshd", self.listens)

    def listens(self):
        assert self.process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def sessions(self):
        """The processes of all connections, the first ones first."""
        found, new = [], [self.process.pid]
        while new:
            pid = new.pop(0)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += children
            new += children
        return found

    def cut(self):
        """Ends every connection, as a cable that is cut."""
        for pid in self.sessions():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self):
        if self.process is None:
            return
        self.cut()
        self.process.kill()
        self.process.wait()
        self.process = None


def client_configuration(path, known_hosts, identity):
    """A file for ssh_config of client.yaml."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"UserKnownHostsFile {known_hosts}\nGlobalKnownHostsFile none\n"
                   f"IdentityFile {identity}\nIdentitiesOnly yes\nIdentityAgent none\n")
    return path
