# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces for tests: links, processes and captures that are gone afterwards, whatever happens.

A `Lab` owns everything that it makes. Leaving its `with` block, an exception, SIGTERM, SIGINT and SIGHUP
all end its processes and delete its namespaces. Of a lab that was killed with SIGKILL the processes die with
their parent, and the next lab on the machine deletes the rest. Needs root, iproute2 and ethtool.
"""

import atexit
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

PREFIX = "sglab"
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# With checksum or segmentation offload a veth carries packets whose checksums nobody has computed, and
# packets longer than the link's MTU; neither exists on a real wire.
OFFLOADS = ("tx", "rx", "tso", "gso", "gro")


class LabError(RuntimeError):
    """A command of the lab failed; the text says which one and what it printed."""


def command(*words, **options):
    """Runs a command outside any namespace and returns what it printed; raises LabError if it fails."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stderr or done.stdout}")
    return done.stdout


def wait_until(true, what, timeout_s=10.0):
    """Polls `true()` until it holds; raises LabError that names `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout_s:g} s for {what}, in vain")
        time.sleep(0.01)


class Namespace:
    """One network namespace. `title` is its short name in the lab; `name` is unique on the machine."""

    def __init__(self, lab, title):
        self.lab, self.title, self.name = lab, title, f"{PREFIX}-{title}-{os.getpid()}"

    def create(self):
        command("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def words(self, cmd):
        # SIGTERM for the child when the thread that started it dies, SIGKILL of the whole test included.
        return ["setpriv", "--pdeathsig", "TERM", "ip", "netns", "exec", self.name, *map(str, cmd)]

    def ip(self, *words):
        return command("ip", "-n", self.name, *words)

    def run(self, *cmd, check=True, timeout_s=60.0, input=None):
        """Runs a command in the namespace to its end. Returns the CompletedProcess, output as text."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.start(*cmd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(input, timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{self.title}: {' '.join(map(str, cmd))}: not done after {timeout_s:g} s") from late
        finally:
            self.lab.end(process)
        if check and process.returncode != 0:
            raise LabError(f"{self.title}: {' '.join(map(str, cmd))}: exit status {process.returncode}\n{err or out}")
        return subprocess.CompletedProcess(cmd, process.returncode, out, err)

    def start(self, *cmd, **options):
        """Starts a command in the namespace and returns its Popen. The lab ends it if nobody else does."""
        options.setdefault("stdin", subprocess.DEVNULL)
        with self.lab.lock:
            if self.lab.closed:
                raise LabError("the lab is closing")
            process = subprocess.Popen(self.words(cmd), **options)
            self.lab.processes.append(process)
        return process

    def sysctl(self, **settings):
        """sysctl(net__ipv4__ip_forward=0): two underscores stand for the dot."""
        for key, value in settings.items():
            path = "/proc/sys/" + key.replace("__", "/")
            self.run("sh", "-c", f"echo {value} > {path}")

    def address(self, cidr, device="eth0"):
        """Adds an address, usable at once: duplicate address detection would cost IPv6 a second."""
        self.ip("address", "add", cidr, "dev", device, *(["nodad"] if ":" in cidr else []))

    def mac(self, device="eth0"):
        return re.search(r"link/ether (\S+)", self.ip("link", "show", device)).group(1)

    def offloads_off(self, device):
        switches = [word for offload in OFFLOADS for word in (offload, "off")]
        self.run("ethtool", "-K", device, *switches)


class Lab:
    """Owns namespaces, processes and a temporary directory (`tmp`). Use as a context manager."""

    def __init__(self):
        self.namespaces, self.processes, self.tmp = [], [], None
        self.lock, self.closed = threading.Lock(), False
        self._signals = {}

    def __enter__(self):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root: run this with sudo")
        sweep()
        if threading.current_thread() is threading.main_thread():
            for number in ENDING_SIGNALS:
                self._signals[number] = signal.signal(number, _leave)
        atexit.register(self.close)  # for a signal that arrives when `close` has just begun
        try:
            self.tmp = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-"))
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def build(self):
        """Overridden by labs with a fixed shape; runs inside the protection of the `with`."""

    def close(self):
        """Ends and deletes everything. A second signal meanwhile must not leave half of it behind."""
        for number in self._signals:
            signal.signal(number, signal.SIG_IGN)
        with self.lock:
            self.closed = True
        for process in reversed(list(self.processes)):
            self.end(process)
        for namespace in reversed(self.namespaces):
            with contextlib.suppress(LabError):
                command("ip", "netns", "del", namespace.name)
        self.namespaces.clear()
        if self.tmp:
            shutil.rmtree(self.tmp, ignore_errors=True)
        atexit.unregister(self.close)
        for number, before in self._signals.items():
            signal.signal(number, before)
        self._signals.clear()

    def end(self, process, number=signal.SIGTERM):
        """Ends a process of this lab, gently and then not, and returns its exit status."""
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with self.lock, contextlib.suppress(ValueError):
            self.processes.remove(process)
        return process.returncode

    def namespace(self, title):
        namespace = Namespace(self, title)
        self.namespaces.append(namespace)  # first, so that an interrupted creation is undone too
        namespace.create()
        return namespace

    def link(self, a, device_a, b, device_b, mac_a=None, mac_b=None):
        """A veth pair between namespaces `a` and `b`, up, with every offload off; MAC addresses if given."""
        ends = ((a, device_a, mac_a), (b, device_b, mac_b))
        first, second = ([d, *(["address", m] if m else []), "netns", n.name] for n, d, m in ends)
        command("ip", "link", "add", "name", *first, "type", "veth", "peer", "name", *second)
        for namespace, device, _ in ends:
            namespace.offloads_off(device)
            namespace.ip("link", "set", device, "up")

    def bridge(self, namespace, name="bridge"):
        """A bridge, up, that sends nothing of its own: no spanning tree, no multicast queries."""
        namespace.ip("link", "add", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        namespace.ip("link", "set", name, "up")

    def capture(self, namespace, device, path, ingress_only=False, nanoseconds=True):
        """Starts tcpdump and returns it once it listens. `ingress_only`: only what arrives at `device`."""
        return Capture(namespace, device, path, ingress_only, nanoseconds)


class Capture:
    """A running tcpdump. `stop()`, or the end of a `with` block, flushes and closes its file."""

    def __init__(self, namespace, device, path, ingress_only, nanoseconds):
        cmd = ["tcpdump", "-i", device, "-n", "-s", "0", "-U", "-Z", "root", "-w", path, "--immediate-mode"]
        cmd += ["-B", "16384", "--time-stamp-precision", "nano" if nanoseconds else "micro"]
        cmd += ["-Q", "in"] if ingress_only else []
        self.namespace, self.path = namespace, Path(path)
        self.log = namespace.lab.tmp / f"tcpdump-{time.monotonic_ns()}.log"
        with open(self.log, "w") as log:
            self.process = namespace.start(*cmd, stdout=log, stderr=log)
        wait_until(lambda: "listening on" in self.log.read_text() or self.process.poll() is not None, "tcpdump")
        if self.process.poll() is not None:
            raise LabError(f"tcpdump on {device}: {self.log.read_text()}")

    def stop(self, settle_s=0.2):
        """Waits `settle_s` for the last packets, ends tcpdump, and refuses a capture that lost packets."""
        time.sleep(settle_s)
        self.namespace.lab.end(self.process, signal.SIGINT)
        lost = re.search(r"(\d+) packets dropped by kernel", self.log.read_text())
        if lost and int(lost.group(1)) > 0:
            raise LabError(f"{self.path.name}: the kernel dropped {lost.group(1)} packets of the capture")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _leave(number, _frame):
    raise SystemExit(128 + number)


def sweep():
    """Deletes what labs left that were killed with SIGKILL. A living lab's things are known by its pid."""

    def dead(pattern, name):
        match = re.fullmatch(pattern, name)
        return match and not Path(f"/proc/{match.group(1)}").exists()

    for name in command("ip", "netns", "list").split():
        if dead(rf"{PREFIX}-.*-(\d+)", name):
            with contextlib.suppress(LabError):
                command("ip", "netns", "del", name)
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        if dead(rf"{PREFIX}-(\d+)-.*", directory.name):
            shutil.rmtree(directory, ignore_errors=True)


class Nginx:
    """A running nginx. `servers` is what goes into its http block; `requests()` is its access log."""

    def __init__(self, namespace, servers):
        self.directory = Path(tempfile.mkdtemp(prefix="nginx-", dir=namespace.lab.tmp))
        self.access_log = self.directory / "access.log"
        config = self.directory / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(directory=self.directory, servers=servers))
        words = ["nginx", "-p", self.directory, "-e", self.directory / "error.log", "-c", config]
        namespace.run(*words, "-t", "-q")
        self.process = namespace.start(*words, stderr=subprocess.DEVNULL)
        wait_until((self.directory / "nginx.pid").exists, "nginx")

    def requests(self):
        """The access log's lines so far: client, method and target, status, Host."""
        return self.access_log.read_text().splitlines()


# `user root`: the lab's directory is nobody else's to read.
NGINX_CONFIG = """
user root;
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  log_format lab '$remote_addr "$request" $status "$http_host"';
  access_log {directory}/access.log lab;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  default_type text/html;
  {servers}
}}
"""
