"""Where things run: the synthetic machine's tree, the cores, the servers and the load on them."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

# The synthetic machine: c/tree.c makes 250 functions in 75 kernel groups of each host bridge.
HOST_BRIDGES = 40
DEVICES = 10_000
GROUPS = 3_000


class Server:
    """A running server, and the socket that it listens on."""

    def __init__(self, process, path):
        self.process = process
        self.path = path

    def memory(self, name):
        """VmRSS, VmHWM, ... in MB of 1,000,000 bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024 / 1e6

    def call(self, message):
        """One call and its one reply, as bytes with their NUL."""
        return next(self.stream(message))

    def stream(self, message):
        """One call and its replies."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.path)
            connection.sendall(message)
            rest = b""
            while True:
                chunk = connection.recv(1 << 20)
                if not chunk:
                    raise ConnectionError(f"{self.path} has closed the connection")
                *replies, rest = (rest + chunk).split(b"\0")
                for reply in replies:
                    yield reply + b"\0"
                    if not reply.endswith(b'"continues":true}'):
                        return


class Load:
    """What c/load.c says of a run."""

    def __init__(self, words):
        requests, seconds, cpu, received = words.split()
        self.requests = int(requests)
        self.rate = self.requests / float(seconds)
        self.cpu = float(cpu) / self.requests
        self.bytes = int(received)


class Machine:
    """The programs, a folder in memory for what they need, and a core for each side."""

    def __init__(self, daemon, programs):
        self.daemon = pathlib.Path(daemon).resolve()
        self.programs = pathlib.Path(programs).resolve()
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vfiogroupd-bench-", dir=in_memory))
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.load_core = cores[0], cores[-1]

    def close(self):
        shutil.rmtree(self.folder)

    def tree(self, host_bridges=HOST_BRIDGES):
        """The synthetic machine's tree; made once."""
        folder = self.folder / f"machine-{host_bridges}"
        if not folder.exists():
            subprocess.run([self.programs / "tree", folder, str(host_bridges)], check=True)
        return folder

    def pinned(self, core):
        return lambda: os.sched_setaffinity(0, {core})

    @contextlib.contextmanager
    def serving(self, *command, name):
        """Runs a server on the server's core; `{}` in the command stands for its socket's path."""
        path = str(self.folder / f"{name}.socket")
        words = [str(word).replace("{}", path) for word in command]
        with open(self.folder / f"{name}.log", "w") as log:
            process = subprocess.Popen(
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=self.pinned(self.server_core))
        try:
            deadline = time.monotonic() + 120
            while not os.path.exists(path):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{words[0]} does not serve: {(self.folder / f'{name}.log').read_text()[-500:]}")
                time.sleep(0.01)
            time.sleep(0.2)
            yield Server(process, path)
        finally:
            process.terminate()
            process.wait(timeout=30)

    def daemon_serving(self, name="daemon"):
        return self.serving(self.daemon, "--simulate", self.tree(), "--socket={}", name=name)

    def calls(self, name, *messages):
        """A file of calls for the load."""
        path = self.folder / f"{name}.calls"
        path.write_bytes(b"".join(messages))
        return path

    def start_load(self, server, calls, connections, requests=10**12, seconds=600):
        words = [self.programs / "load", server.path, str(server.process.pid), calls, str(connections), str(requests),
                 str(seconds)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=self.pinned(self.load_core))

    def load(self, *arguments, **options):
        """Loads a server from the other core."""
        process = self.start_load(*arguments, **options)
        words, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"load ended with {process.returncode}")
        return Load(words)
