"""The shipped daemon in the guest, called with the shipped vfiogroupctl."""

import json
from typing import Any

import waiting
from guest import Guest, Process

JSON = dict[str, Any]


class Daemon:
    """A vfiogroupd that runs in the guest; one at a time."""

    def __init__(self, guest: Guest):
        self._guest = guest
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.process: Process = self._guest.start("vfiogroupd")
        waiting.until(self._answers, "the daemon to answer")

    def _answers(self) -> bool:
        if self._guest.run("vfiogroupctl --json status").status == 0:
            return True
        if not self.process.is_running():
            raise AssertionError(f"vfiogroupd has ended: {self.process.output()[-1500:]}")
        return False

    def call(self, command: str) -> JSON:
        """What `vfiogroupctl --json COMMAND` prints."""
        reply: JSON = json.loads(self._guest.check(f"vfiogroupctl --json {command}"))
        return reply

    def groups(self) -> list[JSON]:
        groups: list[JSON] = self.call("list")["groups"]
        # What the host uses is as old as its lookup, which every daemon makes for itself: `group_of` has it.
        return [{key: value for key, value in group.items() if key not in ("uses", "usesSeen")} for group in groups]

    def devices(self) -> dict[str, JSON]:
        """All devices, by name."""
        return {device["address"]["name"]: device for device in self.call("devices")["devices"]}

    def group_of(self, address: str) -> JSON:
        """The group that a device is in."""
        group: JSON = self.call(f"show {address}")["group"]
        return group

    def members(self) -> dict[int, list[str]]:
        """The members of each group that is one kernel group, by the kernel group's number."""
        return {group["kernelGroups"][0]: names(group) for group in self.groups() if len(group["kernelGroups"]) == 1}

    def claim(self, words: str) -> JSON:
        """Claims what the words of `vfiogroupctl claim` say: the claim."""
        claim: JSON = last_reply(self._guest.check(f"vfiogroupctl --json claim {words}"))["claim"]
        return claim

    def release(self, name: str) -> None:
        """Gives a claim back, which must leave nothing of it."""
        command = f"vfiogroupctl release {name}"
        outcome = self._guest.run(command)
        # A step that takes long is told and not waited for: in a busy guest a driver's probe does.
        is_late = outcome.status == 1 and "is still " in outcome.output
        assert outcome.status == 0 or is_late, f"`{command}` ended with {outcome.status}: {outcome.output}"
        if is_late:
            waiting.until(lambda: self.claim_of(name) is None, f"the release to end: {outcome.output}")

    def refusal(self, command: str) -> str:
        """What vfiogroupctl says of a command that must fail."""
        outcome = self._guest.run(f"vfiogroupctl {command}")
        assert outcome.status != 0, f"`vfiogroupctl {command}` should have been refused: {outcome.output}"
        return outcome.output

    def claims(self) -> list[JSON]:
        claims: list[JSON] = self.call("claims")["claims"]
        return claims

    def claim_of(self, name: str) -> JSON | None:
        """A claim as it is now; nothing when there is none."""
        return next((claim for claim in self.claims() if name in (claim["id"], claim.get("name"))), None)

    def monitor(self) -> "Monitor":
        """Watches from now on: returns when the daemon has said that it does."""
        monitor = Monitor(self._guest.start("vfiogroupctl --json monitor"))
        monitor.wait_for("ready")
        return monitor

    def threads(self) -> int:
        return len(self._guest.check(f"ls /proc/{self.process.pid}/task").split())

    def descriptors(self) -> list[str]:
        """What it has open, as the links of /proc/PID/fd say; sockets without their numbers, which are new each time, and
        without the log, which is another after a restart."""
        printed = self._guest.check(f"for fd in /proc/{self.process.pid}/fd/*; do readlink $fd; done; true")
        return sorted(line.split(":[")[0] for line in printed.splitlines() if line != self.process.log)

    def log(self) -> str:
        return self.process.output()


class Service(Daemon):
    """A vfiogroupd that is a service of the guest's systemd. When it is killed, systemd starts it again, and `start` waits
    for that."""

    UNIT = "vfiogroupd.service"

    def start(self) -> None:
        """Starts it and waits for READY, which makes the command end."""
        self._guest.check(f"systemctl start vfiogroupd.socket {self.UNIT}")
        self.process = ServiceProcess(self._guest, int(self.property("MainPID")), self.UNIT)

    def property(self, name: str) -> str:
        """What systemd says of the service."""
        return self._guest.check(f"systemctl show {self.UNIT} --property {name} --value").strip()


class ServiceProcess(Process):
    """A process that is a service's. Its log, named by the unit, lies in the journal."""

    def output(self) -> str:
        return self.guest.check(f"journalctl --quiet --boot --output cat --unit {self.log}")


class Monitor:
    """A running `vfiogroupctl --json monitor`."""

    def __init__(self, process: Process):
        self._process = process

    def events(self) -> list[JSON]:
        """All events so far. A last line that is still being written is left for the next look."""
        text = self._process.output()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line]

    def wait_for(self, kind: str, group: str | None = None, member: str | None = None) -> JSON:
        """Waits for an event: of a kind, and of a group or a device where they are given."""
        def find() -> JSON | None:
            for event in self.events():
                name = event.get("member", {}).get("name")
                if event["kind"] == kind and group in (None, event.get("group")) and member in (None, name):
                    return event
            return None

        try:
            found = waiting.until(find, f"the event {kind} of {group or member or 'the registry'}")
        except AssertionError as error:
            raise AssertionError(f"{error}; seen: {json.dumps(self.events())}") from None
        assert found is not None
        return found

    def stop(self) -> None:
        self._process.kill("TERM")


def last_reply(printed: str) -> JSON:
    """The last of the replies that a call with progress printed, a line each."""
    lines = printed.splitlines()
    reply: JSON = json.loads(lines[-1]) if lines else {}
    return reply


def names(group: JSON) -> list[str]:
    """The names of a group's members."""
    return sorted(member["address"]["name"] for member in group["members"])


def member(group: JSON, address: str) -> JSON:
    """A member of a group."""
    return next(member for member in group["members"] if member["address"]["name"] == address)
