#!/usr/bin/python3
"""Policy as code: the commands on files, as the CI of a repository of policies runs them, on a
machine that has neither signer nor token nor any of the users; and roll-outs at a real signer."""

import datetime
import os
import shutil
import tempfile
import unittest

from world import ADMIN, World, run

DIFFERS, TROUBLE, REFUSED = 1, 2, 3

# All that is needed of a signer.yaml.
ACCOUNTS = """accounts:
  - name: main
    ceiling: [dept.example.edu, 192.0.2.0/24]
    orders_per_day: 150
"""

APP = """application: app
owner: app-team@dept.example.edu
account: main
principals:
  - user: nobody-has-this-name
  - group: nor-this
names:
  exact: [app.dept.example.edu]
  subdomains_of: [app.dept.example.edu]
  wildcards_of: [cdn.app.dept.example.edu]
  deny: [pay.app.dept.example.edu]
  addresses: [192.0.2.16/28]
keys: [ec-p256]
expires: 2099-01-01
warn_until: 2098-01-01
"""

CENTRAL = """application: central
owner: central@dept.example.edu
account: main
principals: [{user: nor-that}]
names:
  subdomains_of: [dept.example.edu]
operations: [order, revoke]
shares_with: [app]
"""


def expectation(request, verdict, rule=None, application="app"):
    text = f"  - application: {application}\n    request: {{{request}}}\n    verdict: {verdict}\n"
    return text + (f"    rule: {rule}\n" if rule else "")


class Repository(unittest.TestCase):
    """A working copy: anybody's files, with modes that a signer would refuse."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="aw-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.write("signer.yaml", ACCOUNTS)
        self.write("policy.d/app.yaml", APP)
        self.write("policy.d/central.yaml", CENTRAL)
        os.chmod(self.path("policy.d"), 0o777)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), 0o666)
        return self.path(name)

    def edit(self, name, old, new):
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        self.write(name, text.replace(old, new))

    def policy(self, verb, *words, status=0, folder="policy.d"):
        where = [] if verb == "diff" else ["--policies", self.path(folder)]
        return run([ADMIN, "--config", self.config, "policy", verb, *where, *words], status=status)

    def copy(self, name="new"):
        shutil.copytree(self.path("policy.d"), self.path(name))

    def diff(self, *words, status=DIFFERS):
        return self.policy("diff", self.path("policy.d"), self.path("new"), *words, status=status)


class Test(Repository):
    """policy test"""

    def expect(self, *rows, words=(), status=0):
        name = self.write("expect.yaml", "expectations:\n" + "".join(rows))
        return self.policy("test", name, *words, status=status)

    def test_all_met(self):
        done = self.expect(
            expectation("names: [app.dept.example.edu], key: ec-p256", "permit", "names.exact"),
            expectation("names: [www.app.dept.example.edu]", "permit", "names.subdomains_of"),
            expectation("names: ['*.cdn.app.dept.example.edu']", "permit", "names.wildcards_of"),
            expectation("names: [192.0.2.17]", "permit", "names.addresses"),
            expectation("names: [x.pay.app.dept.example.edu]", "refuse", "names.deny"),
            expectation("names: [app.example.org]", "refuse", "account.ceiling"),
            expectation("names: [app.dept.example.edu], key: rsa-2048", "warn", "keys"),
            expectation("names: [app.dept.example.edu], key: rsa-2048, on: 2098-01-01", "refuse",
                        "keys"),
            expectation("names: [app.dept.example.edu], on: 2099-01-01", "refuse",
                        "application.expired"),
            expectation("names: [app.dept.example.edu], revoke: true", "refuse", "operations"),
            expectation("names: [app.dept.example.edu]", "permit", application="central"),
            expectation("names: [app.dept.example.edu]", "refuse", "application.unknown",
                        application="gone"))
        self.assertEqual(done.out, "12 passed, 0 failed\n")
        self.assertEqual(done.err, "")

    def test_one_that_is_not_met(self):
        done = self.expect(
            expectation("names: [app.dept.example.edu]", "permit"),
            expectation("names: [pay.app.dept.example.edu]", "permit"),
            expectation("names: [app.dept.example.edu]", "permit", "names.subdomains_of"),
            status=DIFFERS)
        first, reason, second, tally = done.out.splitlines()
        self.assertTrue(first.startswith(self.path("expect.yaml") + ":5:5: FAILED app: "), first)
        self.assertTrue(first.endswith("expected permit, found refuse (names.deny)"), first)
        self.assertIn("is denied to app", reason)
        self.assertIn(":8:5: FAILED app: ", second)
        self.assertIn("expected permit (names.subdomains_of), found permit (names.exact)", second)
        self.assertEqual(tally, "1 passed, 2 failed")
        self.assertIn("2 of 3 expectations are not met", done.err)

    def test_a_misspelt_application_is_no_refusal(self):
        done = self.expect(expectation("names: [app.dept.example.edu]", "refuse",
                                       application="ap"), status=DIFFERS)
        self.assertIn("there is no application ap", done.out)

    def test_several_files(self):
        other = self.write("b.yaml", "expectations:\n"
                           + expectation("names: [app.dept.example.edu]", "permit"))
        done = self.expect(expectation("names: [app.dept.example.edu]", "permit"), words=[other])
        self.assertEqual(done.out, "2 passed, 0 failed\n")

    def test_json(self):
        done = self.expect(expectation("names: [app.dept.example.edu]", "permit"),
                           expectation("names: [x.example.org]", "permit"), words=["--json"],
                           status=DIFFERS).json()
        self.assertEqual((done["passed"], done["failed"]), (1, 1))
        row = done["expectations"][1]
        self.assertEqual((row["line"], row["column"], row["passed"], row["expected"], row["found"],
                          row["found_rule"]),
                         (5, 5, False, "permit", "refuse", "account.ceiling"))

    def test_faults_are_trouble(self):
        rows = [
            ("an unknown rule", expectation("names: [a.example.edu]", "permit", "names.exakt"),
             ":5:11: expectations[0].rule: "),
            ("an unknown verdict", expectation("names: [a.example.edu]", "allow"),
             ":4:14: expectations[0].verdict: "),
            ("no name", expectation("names: [a_b.example.edu]", "permit"),
             ":3:23: expectations[0].request.names[0]: "),
            ("an unknown key", expectation("name: a.example.edu", "permit"), ":3:15: unknown key"),
            ("no names in a list", expectation("names: []", "permit"),
             ":3:22: expectations[0].request.names: "),
        ]
        for name, row, fault in rows:
            with self.subTest(name):
                done = self.expect(row, status=TROUBLE)
                self.assertIn(self.path("expect.yaml") + fault, done.err)
                self.assertEqual(done.out, "")

    def test_a_policy_with_faults_is_trouble(self):
        self.edit("policy.d/app.yaml", "account: main", "account: mian")
        done = self.expect(expectation("names: [app.dept.example.edu]", "permit"), status=TROUBLE)
        self.assertIn(self.path("policy.d/app.yaml") + ":3:10: account: ", done.err)
        self.assertEqual(done.out, "")

    def test_what_cannot_be_read_is_trouble(self):
        self.assertIn("usage:", self.policy("test", status=TROUBLE).err)
        self.policy("test", self.path("none.yaml"), status=TROUBLE)
        self.policy("test", self.config, status=TROUBLE)
        self.policy("test", self.config, folder="none", status=TROUBLE)
        self.config = self.path("none.yaml")
        done = self.policy("test", self.path("none.yaml"), status=TROUBLE)
        self.assertIn("--config", done.err)


class Diff(Repository):
    """policy diff"""

    def test_no_difference(self):
        self.copy()
        self.assertEqual(self.diff(status=0).out, "no difference\n")

    def test_who_gains_and_who_loses(self):
        self.copy()
        self.edit("new/app.yaml", "  deny: [pay.app.dept.example.edu]\n", "")
        self.edit("new/app.yaml", "exact: [app.dept.example.edu]", "exact: [a.dept.example.edu]")
        self.write("new/web.yaml", CENTRAL.replace("central", "web").replace(
            "subdomains_of: [dept.example.edu]", "exact: [www.dept.example.edu]"))
        lines = self.diff().out.splitlines()
        for line in (
                'application app',
                '  gains    name a.dept.example.edu: names.exact "a.dept.example.edu" (was '
                'names.held-by-other "dept.example.edu" of central)',
                '  gains    names below pay.app.dept.example.edu: names.subdomains_of '
                '"app.dept.example.edu" (was names.deny "pay.app.dept.example.edu")',
                '  loses    name app.dept.example.edu: names.held-by-other "dept.example.edu" of '
                'central (was names.exact "app.dept.example.edu")',
                'application central',
                '  loses    name www.dept.example.edu: names.held-by-other "www.dept.example.edu" '
                'of web (was names.subdomains_of "dept.example.edu")',
                'application web (new)',
                '  gains    name www.dept.example.edu: names.exact "www.dept.example.edu"'):
            self.assertIn(line, lines)

    def test_an_application_that_goes(self):
        self.copy()
        os.unlink(self.path("new", "app.yaml"))
        self.edit("new/central.yaml", "shares_with: [app]\n", "")
        done = self.diff().out
        self.assertIn("application app (gone)\n", done)
        self.assertIn("  loses    names below app.dept.example.edu: (was names.subdomains_of "
                      '"app.dept.example.edu")\n', done)

    def test_json(self):
        self.copy()
        self.edit("new/app.yaml", "keys: [ec-p256]", "keys: [ec-p256, ec-p384]")
        done = self.diff("--json").json()
        self.assertNotEqual(done["digest_before"], done["digest_after"])
        self.assertEqual(done["changes"], [{"application": "app", "effect": "gains", "what": "key",
                                            "text": "ec-p384", "before": None, "after": None}])

    def test_two_signer_yamls(self):
        """A ceiling that moves takes names with it, though no policy changes."""
        paths = f"paths:\n  policies: {self.path('policy.d')}\n"
        old = self.write("old.yaml", ACCOUNTS + paths)
        new = self.write("new.yaml", ACCOUNTS.replace("dept.ex", "app.dept.ex") + paths)
        done = self.policy("diff", old, new, status=DIFFERS).out
        self.assertIn("account main\n", done)
        self.assertIn("  loses    ceiling dept.example.edu\n", done)
        self.assertIn("application central\n  loses    names below dept.example.edu: ", done)

    def test_trouble(self):
        self.assertIn("usage:", self.policy("diff", self.path("policy.d"), status=TROUBLE).err)
        self.policy("diff", self.path("policy.d"), self.path("none"), status=TROUBLE)
        self.copy()
        self.edit("new/app.yaml", "owner:", "onwer:")
        done = self.diff(status=TROUBLE)
        self.assertIn(self.path("new/app.yaml") + ':2:1: unknown key "onwer"; did you mean "owner"?',
                      done.err)
        self.assertEqual(done.out, "")


class Explain(Repository):
    """policy explain"""

    def explain(self, *names, words=(), status=0):
        listed = [word for name in names for word in ("--name", name)]
        return self.policy("explain", "--application", "app", *listed, *words, status=status)

    def test_paths(self):
        rows = [
            ("www.app.dept.example.edu", 0, [
                '  www.app.dept.example.edu: allowed by names.subdomains_of "app.dept.example.edu"',
                '    passed: account.ceiling (inside of "dept.example.edu"), names.deny, '
                'names.held-by-other', "verdict: allowed by names.subdomains_of: "]),
            ("pay.app.dept.example.edu", REFUSED, [
                '  pay.app.dept.example.edu: refused by names.deny "pay.app.dept.example.edu"',
                '    nearest: subdomains_of "app.dept.example.edu", which covers it; names.deny '
                'goes before it', "verdict: refused by names.deny: ", "ask: app-team@"]),
            ("*.app.dept.example.edu", REFUSED, [
                '  *.app.dept.example.edu: refused by names.wildcard-covers-denied '
                '"pay.app.dept.example.edu"',
                '    nearest: subdomains_of "app.dept.example.edu", which covers host names below '
                'it only: *.app.dept.example.edu would have to be in wildcards_of']),
            ("www.dept.example.edu", REFUSED, [
                '  www.dept.example.edu: refused by names.held-by-other "dept.example.edu" of '
                'central', '    nearest: ']),
            ("192.0.2.99", 0, [
                "  192.0.2.99: let through by warn_until, would be refused by names.none",
                '    nearest: addresses "192.0.2.16/28"',
                "verdict: let through with a warning by names.none", "refused from 2098-01-01 on"]),
        ]
        for name, status, parts in rows:
            with self.subTest(name):
                out = self.explain(name, status=status).out
                for part in parts:
                    self.assertIn(part, out)

    def test_on_a_day(self):
        self.explain("192.0.2.99", words=["--on", "2097-12-31T23:59:59Z"])
        done = self.explain("192.0.2.99", words=["--on", "2098-01-01"], status=REFUSED)
        self.assertIn("roll-out over: refusals count since 2098-01-01", done.out)
        self.assertIn("(rule names.none)", done.err)

    def test_json(self):
        done = self.explain("app.dept.example.edu", "pay.app.dept.example.edu",
                            words=["--key-type", "ec-p256", "--json"], status=REFUSED).json()
        self.assertEqual((done["verdict"], done["rule"], done["name"], done["matched"]),
                         ("refuse", "names.deny") + ("pay.app.dept.example.edu",) * 2)
        self.assertIn("ask app-team@", done["reason"])
        self.assertTrue(done["path"][-1].startswith("ask: "))

    def test_mistakes(self):
        rows = [("no name", ["--application", "app"], TROUBLE, "--name"),
                ("no application", ["--name", "a.example.edu"], TROUBLE, "--application"),
                ("an unknown one", ["--application", "ap", "--name", "a.example.edu"], 1,
                 "there is no application"),
                ("no host name", ["--application", "app", "--name", "a b"], TROUBLE, "--name"),
                ("no key type", ["--application", "app", "--name", "a.example.edu", "--key-type",
                                 "dsa"], TROUBLE, "ec-p256"),
                ("no day", ["--application", "app", "--name", "a.example.edu", "--on", "soon"],
                 TROUBLE, "--on")]
        for name, words, status, part in rows:
            with self.subTest(name):
                done = self.policy("explain", *words, status=status)
                self.assertIn(part, done.err)
                self.assertEqual(done.out, "")


class Check(Repository):
    """policy check and show"""

    def test_in_order(self):
        done = self.policy("check")
        self.assertIn("2 applications (0 inert), 6 names: in order\n", done.out)
        self.assertIn("app: in roll-out: what warn_until covers is signed with a warning until "
                      "2098-01-01\n", done.out)
        self.assertEqual(done.err, "")

    def test_overlaps_and_shadowed_entries_are_warned_of(self):
        self.edit("policy.d/app.yaml", "exact: [", "exact: [www.app.dept.example.edu, ")
        self.write("policy.d/third.yaml", CENTRAL.replace("central", "third").replace(
            "shares_with: [app]\n", ""))
        file = self.path("policy.d/app.yaml")
        done = self.policy("check")
        for warning in (
                file + ':8:11: warning: "www.app.dept.example.edu" adds nothing: subdomains_of '
                '"app.dept.example.edu" on line 9 covers it',
                self.path("policy.d/third.yaml") + ':6:19: warning: "dept.example.edu" is listed '
                'by central too (central.yaml): both may have it'):
            self.assertIn(warning, done.err)
        self.assertIn("in order, ", done.out)
        warnings = self.policy("check", "--json").json()["warnings"]
        self.assertIn((file, 8, 11), [(w["file"], w["line"], w["column"]) for w in warnings])

    def test_every_fault_has_its_place(self):
        self.edit("policy.d/app.yaml", "  exact:", "  exakt:")
        self.edit("policy.d/app.yaml", "warn_until: 2098", "warn_until: 2199")
        self.edit("policy.d/central.yaml", "shares_with: [app]",
                  "shares_with: [ap]\nlimits: {orders_per_day: 101}")
        app, central = self.path("policy.d/app.yaml"), self.path("policy.d/central.yaml")
        done = self.policy("check", status=TROUBLE)
        for fault in (app + ':8:3: unknown key "exakt"; did you mean "exact"?',
                      app + ":15:13: warn_until: found a day after that of expires",
                      central + ":8:15: shares_with: ", central + ":1:14: limits.orders_per_day: "):
            self.assertIn(fault, done.err)
        self.assertIn("4 faults, see above", done.err)
        done = self.policy("check", "--json", status=TROUBLE).json()
        self.assertFalse(done["in_order"])
        self.assertEqual(sorted((f["file"], f["line"]) for f in done["faults"]),
                         [(app, 8), (app, 15), (central, 1), (central, 8)])

    def test_show(self):
        out = self.policy("show", "--application", "central").out
        self.assertIn("  shares_with    app\n", out)
        self.assertNotIn("app-team", out)
        shown = self.policy("show", "--json").json()["applications"]
        self.assertEqual([one["application"] for one in shown], ["app", "central"])
        self.assertEqual(shown[0]["principals"], ["user nobody-has-this-name", "group nor-this"])
        self.assertEqual(shown[0]["names"]["deny"], ["pay.app.dept.example.edu"])
        self.assertEqual((shown[0]["expires"], shown[0]["warn_until"]),
                         ("2099-01-01", "2098-01-01"))
        self.assertEqual(shown[1]["shares_with"], ["app"])

    def test_a_whole_signer_yaml_is_needed_without_a_folder(self):
        done = run([ADMIN, "--config", self.config, "policy", "check"], status=TROUBLE)
        self.assertIn(self.config + ":1:1: token: found nothing", done.err)


class New(Repository):
    """policy new"""

    def new(self, *words, status=0, application="shop"):
        return self.policy("new", application, "--owner", "shop-team: \"us\" # all", "--user", "null",
                           *words, status=status)

    def test_it_is_written_and_allows_what_was_said(self):
        done = self.new("--group", "web", "--name", "shop.dept.example.edu", "--name",
                        "*.cdn.shop.dept.example.edu", "--name", "192.0.2.64/28", "--name",
                        "bücher.dept.example.edu", "--subdomains-of", "shop.dept.example.edu",
                        "--revoke", "--expires", "2099-01-01")
        for part in ("written", 'shop-team: "us" # all', "user null", "group web", "main",
                     "xn--bcher-kva.dept.example.edu", "order revoke", "2099-01-01"):
            self.assertIn(part, done.out)
        path = self.path("policy.d", "shop.yaml")
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o644)
        shown = self.policy("show", "--application", "shop", "--json").json()["applications"][0]
        self.assertEqual(shown["names"], {
            "exact": ["shop.dept.example.edu", "xn--bcher-kva.dept.example.edu"],
            "subdomains_of": ["shop.dept.example.edu"],
            "wildcards_of": ["cdn.shop.dept.example.edu"], "deny": [],
            "addresses": ["192.0.2.64/28"]})
        # What stands in the file as a comment is right when it is taken in.
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for line in ("# profiles:", "# keys:", "# warn_until: 2099-12-31", "  # deny:"):
            self.assertIn(line, text)
        self.write("policy.d/shop.yaml", text.replace("# profiles:", "profiles:").replace(
            "# keys:", "keys:").replace("  # deny: [pay.app.", "  deny: [pay.shop."))
        self.policy("check")

    def test_one_for_clients_of_a_relay_alone(self):
        words = ("new", "shop", "--owner", "o", "--name", "shop.dept.example.edu")
        self.assertIn("or --relay", self.policy(*words, status=TROUBLE).err)
        done = self.policy(*words, "--relay")
        self.assertIn("principals     none\n", done.out)
        self.assertIn("relay          yes\n", done.out)
        shown = self.policy("show", "--application", "shop", "--json").json()["applications"][0]
        self.assertEqual(shown["relay"], {"networks": [], "client_certificates": [], "validation": "none"})
        self.assertEqual(shown["principals"], [])
        os.unlink(self.path("policy.d", "shop.yaml"))
        self.new("--name", "shop.dept.example.edu")
        shown = self.policy("show", "--application", "shop", "--json").json()["applications"][0]
        self.assertIsNone(shown["relay"])
        with open(self.path("policy.d", "shop.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("policy.d/shop.yaml", text.replace("# relay:\n#   validation: none",
                                                      "relay:\n  validation: http-01"))
        done = self.policy("explain", "--application", "shop", "--name", "shop.dept.example.edu")
        self.assertIn("  relay: yes; validated by http-01\n", done.out)

    def test_never_over_a_file_that_is_there(self):
        done = self.new("--name", "x.dept.example.edu", application="app", status=1)
        self.assertIn("app.yaml is there already", done.err)
        with open(self.path("policy.d", "app.yaml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), APP)

    def test_nothing_is_written_that_the_loader_refuses(self):
        for words, reason in ((("--name", "dept"), "two labels"),
                              (("--subdomains-of", "co.uk"), "public suffix"),
                              (("--name", "x.dept.example.edu", "--account", "min"), '"min"'),
                              (("--name", "x.dept.example.edu", "--expires", "soon"), "expires"),
                              (("--name", "x.dept.example.edu\ninjected: 1"), "U+000A"),
                              ((), "--name or --subdomains-of")):
            done = self.new(*words, status=TROUBLE)
            self.assertIn(reason, done.err)
        for name in ("../shop", "Shop", ""):
            self.assertIn("no name of an application",
                          self.new("--name", "x.dept.example.edu", application=name,
                                   status=TROUBLE).err)
        # The whole folder is loaded: what is at odds with others is found too.
        self.write("policy.d/other.yaml", APP.replace("application: app", "application: shop"))
        self.assertIn("is the name of another one too",
                      self.new("--name", "x.dept.example.edu", status=TROUBLE).err)
        self.assertEqual(sorted(os.listdir(self.path("policy.d"))),
                         ["app.yaml", "central.yaml", "other.yaml"])

    def test_to_standard_output(self):
        done = self.new("--name", "app.dept.example.edu", "--stdout")
        self.assertIn("is listed by app too", done.err)
        self.assertFalse(os.path.exists(self.path("policy.d", "shop.yaml")))
        self.write("policy.d/shop.yaml", done.out)
        self.policy("check")


class RollOut(unittest.TestCase):
    """warn_until and inert applications, as those concerned see them."""

    def test_a_roll_out_and_its_end(self):
        with World() as world:
            self.day = datetime.date.today() + datetime.timedelta(days=30)
            self.write(world)
            world.start()
            self.is_told_before(world)
            self.is_signed_with_a_warning(world)
            self.day = datetime.date.today()
            self.write(world)
            world.admin("reload")
            self.is_refused_on_the_day(world)

    def write(self, world):
        world.application("app", exact=["app.dept.example.edu"], warn_until=self.day.isoformat())

    def is_told_before(self, world):
        self.assertIn(f"warns until   {self.day}T00:00:00Z", world.client("whoami").out)
        done = world.client("certonly", "-d", "new.dept.example.edu", "--check")
        self.assertIn(f"warning: will be refused from {self.day} on: new.dept.example.edu is not "
                      "among the names of app (rule names.none)", done.out)
        self.assertIn("allowed: application app", done.out)
        status = world.admin("status").out
        self.assertIn("roll-out  1 going on, 0 over\n", status)
        self.assertIn(f"  app: signed with a warning until {self.day}; ask app-team@", status)

    def is_signed_with_a_warning(self, world):
        done = world.certonly("new.dept.example.edu", words=["--quiet"])
        self.assertIn(f"warning: this will be refused from {self.day} on: new.dept.example.edu is "
                      "not among the names of app (rule names.none)", done.err)
        records = {r["operation"]: r for r in world.records("--verdict", "warn")}
        self.assertEqual(set(records), {"new-order", "finalize"})
        for record in records.values():
            self.assertEqual((record["rule"], record["names"]),
                             ("names.none", ["new.dept.example.edu"]))
            self.assertIn(f"will be refused from {self.day} on", record["message"])
            self.assertIn("input", record)
        done = world.certonly("app.dept.example.edu")
        self.assertNotIn("warning", done.text)

    def is_refused_on_the_day(self, world):
        done = world.certonly("new.dept.example.edu", words=["--force-renewal"], status=REFUSED)
        self.assertIn("(rule names.none)", done.err)
        last = world.records("--verdict", "refuse")[-1]
        self.assertEqual((last["operation"], last["rule"]), ("new-order", "names.none"))
        self.assertNotIn("input", last)
        world.certonly("app.dept.example.edu", words=["--force-renewal"])
        status = world.admin("status").out
        self.assertIn("roll-out  0 going on, 1 over\n", status)
        self.assertIn(f"  app: over, refusals count since {self.day}; ask", status)
        self.assertIn("which has passed", world.client("whoami").out)

    def test_an_unknown_user_makes_one_application_inert(self):
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            path = world.application("other", user="no-such-user", exact=["o.dept.example.edu"])
            world.start()
            world.certonly("app.dept.example.edu")
            self.assertIn("INERT   other: there is no user no-such-user, everything is refused; "
                          "ask other-team@", world.admin("status").out)
            alarm, = [r for r in world.records() if r["kind"] == "alarm"]
            self.assertEqual((alarm["application"], alarm["rule"]), ("other", "application.inert"))
            self.assertIn("there is no user no-such-user", alarm["message"])
            done = world.admin("reload")
            self.assertIn(path + ":4:", done.out)
            self.assertEqual(len([r for r in world.records() if r["kind"] == "alarm"]), 1)
            world.application("other", exact=["o.dept.example.edu"])
            world.admin("reload")
            self.assertNotIn("INERT", world.admin("status").out)
            world.certonly("o.dept.example.edu", words=["--application", "other"])


if __name__ == "__main__":
    unittest.main()
