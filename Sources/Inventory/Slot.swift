// The slots that the kernel knows, /sys/bus/pci/slots: what a hotplug driver can reset in one go.

import PCI

/// A slot.
public struct Slot: Equatable, Sendable {
    /// What a slot is for (the attribute `address`, drivers/pci/slot.c).
    public struct Address: Equatable, Sendable, CustomStringConvertible {
        public var domain: UInt32
        public var bus: UInt8
        /// The device number; nil where the slot is for whatever is on the bus.
        public var device: UInt8?

        /// Reads `DDDD:BB:DD`, or `DDDD:BB`; nil for anything else.
        public init?(_ text: String) {
            let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                .map { unsignedInteger($0, radix: 16) }
            guard parts.count == 2 || parts.count == 3, let domain = parts[0].flatMap({ UInt32(exactly: $0) }),
                let bus = parts[1].flatMap({ UInt8(exactly: $0) })
            else { return nil }
            self.domain = domain
            self.bus = bus
            guard parts.count == 3 else { return }
            guard let device = parts[2], device < 32 else { return nil }
            self.device = UInt8(device)
        }

        public var description: String {
            hexadecimal(domain, width: 4) + ":" + hexadecimal(bus, width: 2)
                + (device.map { ":" + hexadecimal($0, width: 2) } ?? "")
        }

        /// Whether a function sits in the slot itself, not behind something in it.
        public func holds(_ function: PCIAddress) -> Bool {
            function.domain == domain && function.bus == bus && (device ?? function.device) == function.device
        }
    }

    /// The name of its folder.
    public var name: String
    public var address: Address

    public init(name: String, address: Address) {
        self.name = name
        self.address = address
    }
}
