import CLinux
import Foundation
import Host
import Inventory
import Testing

@testable import LinuxHost

@Suite("Uevents")
struct UeventTests {
    @Test("what a process sends, though it is root and says what the kernel would, is not heard")
    func forged() throws {
        let listener = clinux_uevent_open(1 << 16)
        guard listener >= 0 else { return print("SKIPPED: forged uevents, because there is no netlink: \(-listener)") }
        defer { close(listener) }
        // struct sockaddr_nl: family 16 and padding, port, groups.
        var address = [UInt32](repeating: 0, count: 3)
        var length = socklen_t(12)
        let named = address.withUnsafeMutableBytes { bytes in
            getsockname(listener, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
        }
        #expect(named == 0)
        // To the listener's port alone.
        address[2] = 0
        let sender = socket(16, Int32(SOCK_RAW.rawValue), 15)
        defer { close(sender) }
        let text = message("bind@/devices/x", "ACTION=bind", "DEVPATH=/devices/x", "SUBSYSTEM=pci")
        let sent = address.withUnsafeBytes { bytes in
            sendto(sender, text, text.count, 0, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, 12)
        }
        guard sent == text.count else { return print("SKIPPED: forged uevents, because none can be sent: \(errno)") }
        var buffer = [UInt8](repeating: 0, count: 8192)
        #expect(clinux_uevent_receive(listener, &buffer, buffer.count) == 0)
    }

    private func message(_ fields: String...) -> [UInt8] { fields.flatMap { Array($0.utf8) + [0] } }

    @Test("action and subsystem are read")
    func reading() {
        let event = Uevent(
            message(
                "bind@/devices/pci0000:00/0000:00:01.0", "ACTION=bind", "DEVPATH=/devices/pci0000:00/0000:00:01.0",
                "SUBSYSTEM=pci", "DRIVER=vfio-pci", "SEQNUM=1"))
        #expect(event?.action == "bind")
        #expect(event?.concernsGroups == true)
    }

    @Test("a device that begins to leave vfio makes the host be read again")
    func leaving() {
        let event = Uevent(message("remove@/x/vfio-dev/vfio0", "ACTION=remove", "SUBSYSTEM=vfio-dev"))
        #expect(event?.concernsGroups == true)
        #expect(event?.name == "vfio0")
    }

    @Test("what udev sends, and what is no uevent, is nothing")
    func otherMessages() {
        #expect(Uevent([UInt8]("libudev".utf8) + [0, 1, 2]) == nil)
        #expect(Uevent([]) == nil)
        #expect(Uevent(message("add@/x", "ACTION=add")) == nil)
    }

    @Test("a disk or a network interface does not make the host be read again")
    func unrelated() {
        #expect(Uevent(message("add@/x", "ACTION=add", "SUBSYSTEM=net"))?.concernsGroups == false)
        #expect(Uevent(message("change@/x", "ACTION=change", "SUBSYSTEM=block"))?.concernsGroups == false)
    }
}
