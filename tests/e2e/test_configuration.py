#!/usr/bin/python3
"""The Ansible role and the Puppet module, for real: they write the configuration of a running signer
and of a client, and hand out certificates whose keys stay on the host. Into a temporary folder, with
no package installed and no service touched. Run by packaging/test-configuration.sh; with --syntax
only the files are checked."""

import grp
import json
import os
import shutil
import stat
import sys
import tempfile
import unittest

from world import ADMIN, PROJECT, World, environment, run

ROLES = os.path.join(PROJECT, "packaging", "ansible", "roles")
MODULES = os.path.join(PROJECT, "packaging", "puppet")
PLAYBOOK = os.path.join(PROJECT, "packaging", "ansible", "example.yml")
GROUP = grp.getgrgid(os.getgid()).gr_name
NAME = "host.app.dept.example.edu"


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"no {program} here")


def puppet_folders(home):
    return [word for name in ("conf", "code", "var", "run", "log", "public")
            for word in (f"--{name}dir", os.path.join(home, name))]


class Syntax(unittest.TestCase):

    @needs("ansible-playbook")
    def test_ansible(self):
        with tempfile.TemporaryDirectory(prefix="aw-") as home:
            run(["ansible-playbook", "--syntax-check", "-i", "central,web,", PLAYBOOK],
                env=environment(HOME=home))

    @needs("puppet")
    def test_puppet(self):
        with tempfile.TemporaryDirectory(prefix="aw-") as home:
            run(["puppet", "parser", "validate", os.path.join(MODULES, "acmeward", "manifests"),
                 *puppet_folders(home)])


class Configuration(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", subdomains_of=["app.dept.example.edu"])
        cls.world.start()

    def setUp(self):
        import yaml     # with ansible-core
        with open(self.world.config, encoding="ascii") as file:
            self.signer = yaml.safe_load(file)
        self.client = {"signer": self.world.socket, "signer_user": self.world.user,
                       "ca_file": self.world.ca.ca_file,
                       "certificates": self.world.path("client")}
        self.addCleanup(self.remove_policies)
        self.host = self.world.path(self._testMethodName)
        os.mkdir(self.host)
        self.order = self.world.client_command("certonly", "--csr", "-", "--quiet", "--standalone",
                                               "--http-01-port", str(self.world.http_port),
                                               "--application", "app")

    def remove_policies(self):
        for name in ("ansible", "puppet"):
            path = self.world.path("etc", "policy.d", f"{name}.yaml")
            if os.path.exists(path):
                os.remove(path)

    def policy(self, application):
        return {"application": application, "owner": "team@dept.example.edu",
                "account": "loopback-ov", "principals": [{"user": self.world.user}],
                "names": {"exact": [f"{application}.dept.example.edu"]}}

    def check(self, name):
        """A certificate for a key that is on the host only; its policy is in force."""
        key, chain = (os.path.join(self.host, "certificates", f"www.{kind}")
                      for kind in ("key", "pem"))
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        public = run(["openssl", "pkey", "-pubout", "-in", key]).out
        self.assertEqual(run(["openssl", "x509", "-noout", "-pubkey", "-in", chain]).out, public)
        self.assertIn(name, run(["openssl", "x509", "-noout", "-text", "-in", chain]).out)
        with open(chain, encoding="ascii") as file:
            self.assertNotIn("PRIVATE", file.read())
        with open(os.path.join(self.host, "reloaded"), encoding="ascii") as file:
            self.assertEqual(file.read(), "x\n", "reloaded once")

    @needs("ansible-playbook")
    def test_ansible(self):
        play = [{"hosts": "localhost", "connection": "local", "gather_facts": False,
                 "roles": ["acmeward"], "vars": {
                     # Packages that are here: nothing is installed.
                     "acmeward_client_packages": ["openssl"],
                     "acmeward_signer_packages": ["softhsm2"],
                     "acmeward_folder": self.world.path("etc"),
                     "acmeward_owner": self.world.user, "acmeward_admin": ADMIN,
                     "acmeward_group": GROUP,
                     "acmeward_manage_service": "false",    # as -e has it
                     "acmeward_reload": True,
                     "acmeward_signer": self.signer,
                     "acmeward_client": self.client,
                     "acmeward_policies": [self.policy("ansible")],
                     "acmeward_script": os.path.join(self.host, "host-certificate"),
                     "acmeward_certificate_folder": os.path.join(self.host, "certificates"),
                     "acmeward_central": "localhost", "acmeward_order": self.order,
                     "acmeward_certificates": [{
                         "name": "www", "names": [NAME],
                         "reload": f"sh -c 'echo x >>{self.host}/reloaded'"}]}}]
        path = os.path.join(self.host, "play.yml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(play, file)
        command = ["ansible-playbook", "-i", "localhost,", path]
        env = environment(ANSIBLE_ROLES_PATH=ROLES, HOME=self.host, ANSIBLE_NOCOLOR="1")
        run([*command, "--check"], env=env)
        self.assertFalse(os.path.exists(os.path.join(self.host, "certificates")), "check mode")
        self.assertRegex(run(command, env=env).out, "changed=[1-9]")
        self.check(NAME)
        self.assertIn("ansible", self.world.client("whoami").out)
        self.assertIn("changed=0", run(command, env=env).out, "the second run")
        self.check(NAME)
        play[0]["vars"]["acmeward_policies"][0]["names"] = {"exact": ["not a name"]}
        with open(path, "w", encoding="ascii") as file:
            json.dump(play, file)
        for time in ("at once", "until it is mended"):
            self.assertIn("not a name", run(command, env=env, status=2).out, time)
        self.assertIn("ansible", self.world.client("whoami").out, "the old policy is in force")

    @needs("puppet")
    def test_puppet(self):
        manifest = os.path.join(self.host, "site.pp")
        policy = self.policy("puppet")
        words = {"order": self.order, "names": [NAME], "config": self.signer,
                 "client": self.client, "policies": {"puppet": policy}}
        text = {key: json.dumps(value).replace(": ", " => ") for key, value in words.items()}
        # JSON's colons are Puppet's arrows; no value above holds ": ".
        with open(manifest, "w", encoding="ascii") as file:
            file.write(f"""
class {{ 'acmeward':
  folder => '{self.world.path("etc")}', owner => '{self.world.user}',
  group => '{GROUP}',
}}
class {{ 'acmeward::signer':
  config => {text["config"]}, policies => {text["policies"]}, packages => ['softhsm2'],
  admin => '{ADMIN}', manage_service => false, reload => true,
}}
class {{ 'acmeward::client': config => {text["client"]}, packages => ['openssl'] }}
class {{ 'acmeward::script':
  path => '{self.host}/host-certificate', folder => '{self.host}/certificates',
  owner => '{self.world.user}',
}}
acmeward::certificate {{ 'www':
  names => {text["names"]}, order => {text["order"]},
  reload => "sh -c 'echo x >>{self.host}/reloaded'",
}}
""")
        command = ["puppet", "apply", "--modulepath", MODULES, *puppet_folders(self.host),
                   "--detailed-exitcodes", "--color", "false", manifest]
        run([*command, "--noop"], status=None)
        self.assertFalse(os.path.exists(os.path.join(self.host, "certificates")), "noop")
        run(command, status=2)      # changes, and no failure
        self.check(NAME)
        self.assertIn("puppet", self.world.client("whoami").out)
        run(command, status=0)      # nothing to do
        self.check(NAME)
        with open(manifest, encoding="ascii") as file:
            faulty = file.read().replace("puppet.dept.example.edu", "not a name")
        with open(manifest, "w", encoding="ascii") as file:
            file.write(faulty)
        for status in (6, 4):       # with changes and without: until it is mended
            self.assertIn("not a name", run(command, status=status).text)
        self.assertIn("puppet", self.world.client("whoami").out, "the old policy is in force")


class HostCertificate(unittest.TestCase):
    """What comes back from the central host is not believed."""

    def test_refusals(self):
        script = os.path.join(PROJECT, "packaging", "host", "host-certificate")
        with tempfile.TemporaryDirectory(prefix="aw-") as home:
            key, chain = os.path.join(home, "a.key"), os.path.join(home, "a.pem")
            other = os.path.join(home, "other")
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout", other + ".key",
                 "-out", other])
            for name, command, said in (
                    ("nothing", "true", "no certificate"),
                    ("another key's", f"cat {other}", "another key"),
                    ("a key in it", f"cat {other} {other}.key", "private key"),
                    ("a failure", "false", "did not issue")):
                with self.subTest(name):
                    done = run([script, "run", key, chain, "20", NAME, "--", "sh", "-c",
                                f"cat >/dev/null; {command}"], status=1)
                    self.assertIn(said, done.err)
                    self.assertEqual(sorted(os.listdir(home)), ["a.key", "other", "other.key"])
            for names in (["a b"], ["$(id)"], ["x,DNS:y"], []):
                done = run([script, "csr", key, chain, "20", *names], status=1)
                self.assertIn("name", done.err)


if __name__ == "__main__":
    if "--syntax" in sys.argv:
        sys.argv.remove("--syntax")
        # With -v, so that what is skipped says why.
        unittest.main(defaultTest=["Syntax", "HostCertificate"], verbosity=2)
    unittest.main()
