"""A service that opens its socket itself: systemd keeps it, so that nobody is refused while the service is restarted."""

from daemon import Service
from guest import Process
from machine import Machine
from suite import test
from waiting import until

PLACES = {"small": ("intel",)}

# A daemon beside the one that the machine has, on a simulation. Its start waits for as long as a file is there.
SOCKET = "/run/own/socket"
UNIT = f"""
[Service]
Type=notify
ExecStartPre=/bin/sh -c 'while [ -e /run/own/hold ]; do sleep 0.1; done'
ExecStart=/usr/bin/vfiogroupd --simulate demo --socket={SOCKET}
RuntimeDirectory=own
RuntimeDirectoryPreserve=yes
FileDescriptorStoreMax=2
Restart=always
"""


class OwnService(Service):
    UNIT = "own.service"

    def start(self) -> None:
        self._guest.check(f"systemctl start {self.UNIT}")


def wait_in_line(vm: Machine, client: Process) -> None:
    """Waits for a client to be connected with nobody there to accept it: state 02 in the kernel's list."""

    def is_in_line() -> bool:
        if not client.is_running():
            raise AssertionError(f"the client has ended: {client.output()}")
        return vm.guest.run(f"grep -q ' 02 .* {SOCKET}$' /proc/net/unix").status == 0

    until(is_in_line, "a client in line")


@test(PLACES, interface="legacy", userspace="systemd")
@test(PLACES, interface="iommufd", userspace="trixie")
def whoever_connects_while_a_service_with_its_own_socket_is_restarted_waits_for_it(vm: Machine) -> None:
    vm.guest.write(f"/run/systemd/system/{OwnService.UNIT}", UNIT)
    vm.guest.check("systemctl daemon-reload")
    own = OwnService(vm.guest)
    assert own.property("NFileDescriptorStore") == "1"
    file = vm.guest.check(f"stat --format %i {SOCKET}")
    for end in (f"systemctl restart --no-block {own.UNIT}", f"systemctl kill --signal=KILL {own.UNIT}"):
        before = own.property("MainPID")
        vm.guest.check(f"touch /run/own/hold; {end}")
        until(lambda: vm.guest.run(f"test -e /proc/{before}").status != 0, "the end of the daemon")  # noqa: B023
        client = vm.guest.start(f"vfiogroupctl --socket {SOCKET} list")
        wait_in_line(vm, client)
        vm.guest.check("rm /run/own/hold")
        until(lambda: not client.is_running(), "the answer")  # noqa: B023
        assert "pci0000-00_01.0_00.0" in client.output(), client.output()
        assert vm.guest.check(f"stat --format %i {SOCKET}") == file
    vm.guest.check(f"systemctl stop {own.UNIT}; rm -r /run/systemd/system/{own.UNIT} /run/own; systemctl daemon-reload")
