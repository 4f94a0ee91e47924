import Testing

@testable import Host

@Suite("Uevents")
struct UeventTests {
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
