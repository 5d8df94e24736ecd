#!/usr/bin/python3
"""Deploy hooks with real mail servers: Postfix and Dovecot serve the renewed certificate after a
reload, on ports that begin with TLS and on ports that begin it by STARTTLS, and the old one where
the configuration has a fault.

Their programs know the folders that they were built for, so those that are unpacked
(packaging/install-packages.sh) are laid over /usr in a mount namespace, which needs root. Their
users are two of any Debian.
"""

import os
import shlex
import shutil
import subprocess
import unittest

import test_servers
from world import environment, free_ports, run, wait_until

OWNER, OTHER, GROUP = "games", "news", "mail"
OVER = 'mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr && shift && exec "$@"'
INSTALLED = os.path.exists("/usr/sbin/postfix") and os.path.exists("/usr/sbin/dovecot")


def with_servers(*command):
    """The command where both servers are in /usr."""
    if INSTALLED:
        return command
    return ("unshare", "--mount", "sh", "-c", OVER, "sh", test_servers.UNPACKED, *command)


def why_not():
    if os.geteuid() != 0:
        return "mail servers need root, to start as other users"
    done = run(with_servers("sh", "-c", "postconf -d mail_version && dovecot --version"), status=None)
    if done.status != 0:
        return "Postfix and Dovecot can't run here: sh packaging/install-packages.sh test"
    return None


# 2.4 (Debian 13) wants to be told which configuration it is given, and names some settings otherwise.
DOVECOT_23 = """ssl_cert = <{live}/fullchain.pem
ssl_key = <{live}/privkey.pem
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={base}
}}
"""
DOVECOT_24 = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = {live}/fullchain.pem
ssl_server_key_file = {live}/privkey.pem
passdb static {{
  fields {{
    nopassword = yes
  }}
}}
userdb static {{
  fields {{
    uid = {owner}
    gid = {owner}
    home = {base}
  }}
}}
"""


@unittest.skipIf(why_not(), why_not())
class MailServers(test_servers.Servers):
    test_nginx = test_apache = test_haproxy = None

    def hook(self, name, *words, status=0):
        command = with_servers(os.path.join(test_servers.HOOKS, f"reload-{name}"), *words)
        return run(command, status=status, env=environment())

    def command_of_hook(self, name, words):
        return shlex.join(with_servers(os.path.join(test_servers.HOOKS, f"reload-{name}"), *words))

    def wait_for_new(self, port):
        super().wait_for_new(port)
        wait_until("STARTTLS", lambda: self.served(*self.plain) == self.stored(), pause=0.1)

    def folder(self, name):
        path = self.path(name)
        os.mkdir(path)
        return path

    def test_postfix(self):
        smtp, smtps = free_ports(2)
        folder, spool, data = (self.folder(name) for name in ("postfix", "spool", "data"))
        shutil.chown(data, OWNER)
        top = "/" if INSTALLED else test_servers.UNPACKED
        # Postfix 3.10 (Debian 13) has its scripts beside its programs, where it finds them itself.
        for name in ("postfix-files", "postfix-script", "post-install"):
            path = os.path.join(top, "etc/postfix", name)
            if os.path.exists(path):
                shutil.copy(path, folder)
        config = self.write("postfix/main.cf", f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
meta_directory = {folder}
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = {OWNER}
setgid_group = {GROUP}
myhostname = {test_servers.NAME}
alias_maps =
maillog_file = {self.path("postfix.log")}
maillog_file_prefixes = {self.path()}
smtpd_tls_chain_files = {self.live}/privkey.pem, {self.live}/fullchain.pem
smtpd_tls_security_level = may
smtpd_peername_lookup = no
""")
        self.write("postfix/master.cf", f"""127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
""")
        words = ("-c", folder)
        self.assertIn("does not run", self.hook("postfix", *words, status=1).err)
        # Not by "postfix start-fg", a shell that would be ended in master's place.
        self.serve(smtps, *with_servers("/usr/lib/postfix/sbin/master", *words, "-d"))
        self.assertEqual(self.served(smtp, "smtp"), self.stored())
        self.plain = (smtp, "smtp")
        self.course("postfix", smtps, config, words)

    def test_dovecot(self):
        imap, imaps = free_ports(2)
        base = self.folder("dovecot")
        version = run(with_servers("dovecot", "--version")).out
        own = DOVECOT_23 if version.startswith("2.3.") else DOVECOT_24
        config = self.write("dovecot.conf", own.format(live=self.live, owner=OWNER, base=base) + f"""base_dir = {base}
state_dir = {base}
log_path = {self.path("dovecot.log")}
default_internal_user = {OWNER}
default_internal_group = {OWNER}
default_login_user = {OTHER}
protocols = imap
listen = 127.0.0.1
ssl = yes
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
""")
        words = ("-c", config)
        self.assertIn("does not run", self.hook("dovecot", *words, status=1).err)
        self.serve(imaps, *with_servers("dovecot", "-F", *words))
        self.assertEqual(self.served(imap, "imap"), self.stored())
        self.plain = (imap, "imap")
        self.course("dovecot", imaps, config, words)


if __name__ == "__main__":
    unittest.main()
