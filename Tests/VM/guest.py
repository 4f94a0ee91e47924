"""The host's side of the agent in the guest (`init`): commands for its shell, over the second serial port."""

import base64
import dataclasses
import shlex
import socket
import time

import waiting
from qemu import MachineGone


@dataclasses.dataclass
class Outcome:
    """How a command ended: its exit status, and what it printed on stdout and stderr."""

    status: int
    output: str


class Guest:
    """The shell of the booted guest. One command runs at a time: what may block is to be started instead of run."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._received = b""
        self._count = 0
        self._started = 0
        self.wait_for_boot()

    def wait_for_boot(self) -> None:
        end = waiting.deadline(waiting.BOOT)
        line = ""
        while not line.startswith("READY"):
            line = self._line(end, "the guest to boot")
        self.release = line.split()[1]

    def run(self, command: str, seconds: float = waiting.ANSWER) -> Outcome:
        """Runs a command of the guest's shell to its end."""
        self._count += 1
        number = str(self._count)
        self._send(f"{number} {base64.b64encode(command.encode()).decode()}\n")
        end = waiting.deadline(seconds)
        while True:
            words = self._line(end, f"the end of: {command}").split()
            if words[:2] == ["REPLY", number]:
                break
        encoded = ""
        while (line := self._line(end, f"the output of: {command}")) != f"END {number}":
            encoded += line
        return Outcome(int(words[2]), base64.b64decode(encoded).decode(errors="replace"))

    def check(self, command: str, seconds: float = waiting.ANSWER) -> str:
        """Runs a command that must succeed; what it printed."""
        outcome = self.run(command, seconds)
        if outcome.status != 0:
            raise AssertionError(f"in the guest, `{command}` ended with {outcome.status}: {outcome.output.strip()}")
        return outcome.output

    def write(self, path: str, text: str) -> None:
        """Writes to a file as one write(2), as attributes of sysfs want it; a write that blocks is to be started."""
        self.check(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}")

    def read(self, path: str) -> str:
        return self.check(f"cat {shlex.quote(path)}")

    def start(self, command: str) -> "Process":
        """Starts one simple command and leaves it running."""
        self._started += 1
        log = f"/tmp/process.{self._started}"
        # exec: the number of the process is to be the command's own, for signals.
        pid = self.check(f"(exec {command}) >{log} 2>&1 </dev/null & echo $!")
        return Process(self, int(pid), log)

    def _send(self, text: str) -> None:
        try:
            self._connection.settimeout(waiting.ANSWER)
            self._connection.sendall(text.encode())
        except OSError as error:
            raise MachineGone(f"the machine ended: {error}") from error

    def _line(self, end: float, what: str) -> str:
        while b"\n" not in self._received:
            self._connection.settimeout(max(end - time.monotonic(), 0.001))
            try:
                chunk = self._connection.recv(65536)
            except TimeoutError:
                raise MachineGone(f"waited in vain for {what}") from None
            except OSError as error:
                raise MachineGone(f"the machine ended while waiting for {what}: {error}") from error
            if not chunk:
                raise MachineGone(f"the machine ended while waiting for {what}")
            self._received += chunk
        line, self._received = self._received.split(b"\n", 1)
        return line.decode(errors="replace").strip()


@dataclasses.dataclass
class Process:
    """What was started in the guest, and its output so far."""

    guest: Guest
    pid: int
    log: str

    def output(self) -> str:
        return self.guest.read(self.log)

    def is_running(self) -> bool:
        # One that has ended but was not waited for has no exe to read.
        return self.guest.run(f"readlink /proc/{self.pid}/exe").status == 0

    def kill(self, signal: str = "KILL") -> None:
        """Sends a signal and waits for the end."""
        self.guest.run(f"kill -{signal} {self.pid}")
        waiting.until(lambda: not self.is_running(), f"the end of process {self.pid}")
