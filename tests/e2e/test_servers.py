#!/usr/bin/python3
"""Deploy hooks with the real servers: nginx, Apache and HAProxy serve the renewed certificate after
a reload, and the old one where the configuration has a fault. Unprivileged, on loopback."""

import os
import shlex
import shutil
import signal
import subprocess
import time
import unittest

from world import PROJECT, World, environment, free_ports, run, wait_until

NAME = "app.dept.example.edu"
HOOKS = os.path.join(PROJECT, "packaging", "hooks")
# Debian's packages start a service when they are installed: those of nginx and HAProxy are unpacked
# there instead (packaging/install-packages.sh --unpack).
UNPACKED = os.path.join(PROJECT, "build", "servers")


def program(name):
    return shutil.which(name, path=f"/usr/sbin:{UNPACKED}/usr/sbin")


def needs(name):
    """Present, and with its libraries."""
    works = program(name) and run([program(name), "-v"], status=None).status == 0
    return unittest.skipUnless(works, f"no {name} here: sh packaging/install-packages.sh test")


class Servers(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=[NAME])
        cls.world.start()
        cls.world.certonly(NAME)
        cls.live = cls.world.path("client", "live", NAME)
        os.mkdir(cls.world.path("server"))
        cls.programs = cls.world.path("server", "bin")  # the hooks find the unpacked ones here
        os.mkdir(cls.programs)
        for name in ("nginx", "apache2", "haproxy"):
            if program(name):
                os.symlink(program(name), os.path.join(cls.programs, name))

    def path(self, *names):
        return self.world.path("server", *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        return self.path(name)

    def hook(self, name, *words, status=0):
        env = environment()
        env["PATH"] += f":{self.programs}"
        return run([os.path.join(HOOKS, f"reload-{name}"), *words], status=status, env=env)

    def serve(self, port, *command):
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        self.addCleanup(self.stop, process)
        wait_until(command[0], lambda: self.served(port) or process.poll() is not None)
        self.assertIsNone(process.poll(), command)

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def served(self, port, starttls=None):
        """The serial number of what is served there, its chain and name verified; None: nothing."""
        done = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME,
                    "-verify_return_error", "-verify_hostname", NAME, "-CAfile",
                    self.world.ca.issuing_root, *(("-starttls", starttls) if starttls else ())],
                   stdin="Q\n", status=None)
        # It says "0 (ok)" of a handshake without a certificate, too.
        if "Verify return code: 0 (ok)" not in done.out or "BEGIN CERTIFICATE" not in done.out:
            return None
        return run(["openssl", "x509", "-noout", "-serial"], stdin=done.out).out.strip()

    def stored(self):
        return run(["openssl", "x509", "-noout", "-serial", "-in",
                    os.path.join(self.live, "cert.pem")]).out.strip()

    def command_of_hook(self, name, words):
        hook = shlex.join((os.path.join(HOOKS, f"reload-{name}"), *words))
        return f"PATH=$PATH:{self.programs} {hook}"

    def course(self, name, port, config, words, first="true"):
        """Old certificate, renewal with the hook, new one; then a fault: told, and the server goes
        on."""
        old = self.stored()
        self.assertEqual(self.served(port), old)
        self.world.certonly(NAME, words=("--force-renewal", "--deploy-hook",
                                         f"{first} && {self.command_of_hook(name, words)}"))
        self.assertNotEqual(self.stored(), old)
        self.wait_for_new(port)
        with open(config, "a", encoding="ascii") as file:
            file.write("\nno_such_directive on;\n")
        new = self.stored()
        done = self.hook(name, *words, status=1)
        self.assertIn("serves the old certificate", done.err)
        time.sleep(0.3)
        self.assertEqual(self.served(port), new, "after the refused reload")

    def wait_for_new(self, port):
        wait_until("the new certificate", lambda: self.served(port) == self.stored(), seconds=10,
                   pause=0.1)

    @needs("nginx")
    def test_nginx(self):
        port, = free_ports(1)
        config = self.write("nginx.conf", f"""
error_log {self.path("nginx.log")};
pid {self.path("nginx.pid")};
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
events {{}}
http {{
  access_log off;
  client_body_temp_path {self.path("body")};
  proxy_temp_path {self.path("proxy")};
  fastcgi_temp_path {self.path("fastcgi")};
  uwsgi_temp_path {self.path("uwsgi")};
  scgi_temp_path {self.path("scgi")};
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {self.live}/fullchain.pem;
    ssl_certificate_key {self.live}/privkey.pem;
    return 204;
  }}
}}
""")
        words = ("-c", config, "-e", self.path("nginx.log"))
        self.assertIn("does not run", self.hook("nginx", *words, status=1).err)
        self.serve(port, program("nginx"), *words)
        self.course("nginx", port, config, words)

    @needs("apache2")
    def test_apache(self):
        port, = free_ports(1)
        modules = "/usr/lib/apache2/modules"
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so"
                          for name in ("mpm_event", "authz_core", "ssl", "socache_shmcb"))
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        config = self.write("apache.conf", f"""
ServerRoot {self.path()}
PidFile {self.path("apache.pid")}
ErrorLog {self.path("apache.log")}
DefaultRuntimeDir {self.path()}
Mutex sem
{loads}
{user}
ServerName {NAME}
Listen 127.0.0.1:{port}
SSLEngine on
SSLCertificateFile {self.live}/fullchain.pem
SSLCertificateKeyFile {self.live}/privkey.pem
""")
        words = ("-f", config)
        self.assertIn("does not run", self.hook("apache", *words, status=1).err)
        self.serve(port, program("apache2"), "-DFOREGROUND", *words)
        self.course("apache", port, config, words)

    @needs("haproxy")
    def test_haproxy(self):
        port, = free_ports(1)
        bundle = self.path("bundle.pem")
        good = f"""
global
  maxconn 50
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend here
  bind 127.0.0.1:{port} ssl crt {bundle}
  http-request return status 204
"""
        config = self.write("haproxy.cfg", good)
        export = ("export", "--cert-name", NAME, "--format", "haproxy", "--out", bundle)
        self.world.client(*export)
        words = ("-f", config, "-p", self.path("haproxy.pid"))
        self.assertIn("no pid file", self.hook("haproxy", *words, status=1).err)
        self.serve(port, program("haproxy"), "-W", *words)
        first = shlex.join(self.world.client_command(*export))
        self.course("haproxy", port, config, words, first)
        # Export and reload are in renewal/NAME.conf now.
        self.write("haproxy.cfg", good)
        old = self.stored()
        self.world.client("renew", "--force-renewal", "--no-random-sleep-on-renew")
        self.assertNotEqual(self.stored(), old)
        self.wait_for_new(port)


if __name__ == "__main__":
    unittest.main()
