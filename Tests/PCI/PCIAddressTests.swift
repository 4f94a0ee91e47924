import PCI
import Testing

@Suite("Addresses")
struct PCIAddressTests {
    @Test(
        "an address reads back as it was written",
        arguments: ["0000:00:00.0", "0000:ff:1f.7", "10000:e0:06.0", "fffe:01:00.1", "12345678:00:00.0"])
    func roundTrip(text: String) {
        #expect(PCIAddress(text)?.description == text)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "0000:00:00", "000:00:00.0", "0000:00:20.0", "0000:00:00.8", "0000:00:00.00", "0000:0:00.0",
            "123456789:00:00.0", "0000:00:00.0 ", "+000:00:00.0", "0000:00:0g.0", "0000-00:00.0",
            "0000:00:04.0:pcie001",
        ])
    func refused(text: String) {
        #expect(PCIAddress(text) == nil)
    }

    @Test("addresses sort as the kernel lists them")
    func order() {
        let sorted = ["0000:00:1f.7", "0000:01:00.0", "0001:00:00.0", "10000:00:00.0"].compactMap { PCIAddress($0) }
        #expect(sorted.reversed().sorted() == sorted)
    }

    @Test("a host bridge reads back as it was written", arguments: ["pci0000:00", "pci10000:e0", "pci0000:ff"])
    func hostBridge(text: String) {
        #expect(HostBridgeID(text)?.description == text)
    }

    @Test(
        "what is no host bridge is refused",
        arguments: ["pci0000", "pci000:00", "pci0000:000", "pciexxx:00", "pci_bus", "pci0000:0x", ""])
    func refusedHostBridge(text: String) {
        #expect(HostBridgeID(text) == nil)
    }

    @Test("numbers take no sign, no white space and no more than 64 bits")
    func numbers() {
        #expect(unsignedInteger("ff".utf8, radix: 16) == 255)
        #expect(unsignedInteger("ffffffffffffffff".utf8, radix: 16) == .max)
        for bad in ["", "+1", "-1", " 1", "1_000", "10000000000000000"] {
            #expect(unsignedInteger(bad.utf8, radix: 16) == nil)
        }
        #expect(unsignedInteger("18446744073709551616".utf8, radix: 10) == nil)
        #expect(unsignedInteger("a".utf8, radix: 10) == nil)
    }
}
