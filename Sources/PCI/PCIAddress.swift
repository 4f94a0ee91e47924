// The address of a PCI function, as it names the folder in /sys/bus/pci/devices.

/// Domain, bus, device and function: `DDDD:BB:DD.F`. A domain may be wider than 16 bits (Intel VMD and Hyper-V count
/// from 0x10000), so its text has four to eight hexadecimal digits.
public struct PCIAddress: Hashable, Sendable {
    /// The PCI domain (segment).
    public var domain: UInt32
    /// The bus number.
    public var bus: UInt8
    /// The device number on the bus, 0 to 31.
    public var device: UInt8
    /// The function number, 0 to 7.
    public var function: UInt8

    /// An address from its parts; device and function are cut to their 5 and 3 bits.
    @inlinable
    public init(domain: UInt32, bus: UInt8, device: UInt8, function: UInt8) {
        self.domain = domain
        self.bus = bus
        self.device = device & 0x1f
        self.function = function & 0x07
    }

    /// Reads `DDDD:BB:DD.F`; nil for anything else, a device above 1f or a function above 7 included.
    public init?(_ text: some StringProtocol) { self.init(utf8: Array(text.utf8)) }

    /// Reads the same from bytes, as a folder lists them.
    @inlinable
    public init?<Bytes: RandomAccessCollection>(utf8 bytes: Bytes) where Bytes.Element == UInt8, Bytes.Index == Int {
        let start = bytes.startIndex
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), (4...8).contains(colon - start),
            bytes.endIndex == colon + 8, bytes[colon + 3] == UInt8(ascii: ":"), bytes[colon + 6] == UInt8(ascii: "."),
            let domain = unsignedInteger(bytes[start..<colon], radix: 16),
            let bus = unsignedInteger(bytes[(colon + 1)...(colon + 2)], radix: 16),
            let device = unsignedInteger(bytes[(colon + 4)...(colon + 5)], radix: 16), device <= 0x1f,
            let function = unsignedInteger(bytes[(colon + 7)...], radix: 16), function <= 7
        else { return nil }
        self.init(domain: UInt32(domain), bus: UInt8(bus), device: UInt8(device), function: UInt8(function))
    }

    /// Device and function in one byte, as requester IDs and ACS rules use them.
    public var devfn: UInt8 { device << 3 | function }

    /// The same slot's function 0 to 7.
    public func function(_ number: UInt8) -> PCIAddress {
        PCIAddress(domain: domain, bus: bus, device: device, function: number)
    }
}

extension PCIAddress: Comparable, CustomStringConvertible {
    /// The kernel's order: domain, bus, device, function.
    public static func < (a: PCIAddress, b: PCIAddress) -> Bool {
        (a.domain, a.bus, a.devfn) < (b.domain, b.bus, b.devfn)
    }

    public var description: String {
        // Written in one piece: a scan names every function several times.
        String(unsafeUninitializedCapacity: 16) { text in
            var count = 0
            func put(_ value: UInt32, digits: Int) {
                for digit in stride(from: digits - 1, through: 0, by: -1) {
                    let nibble = UInt8(truncatingIfNeeded: value >> (4 * UInt32(digit))) & 0x0f
                    text[count] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
                    count += 1
                }
            }
            func put(_ character: Unicode.Scalar) {
                text[count] = UInt8(ascii: character)
                count += 1
            }
            put(domain, digits: max(4, (35 - domain.leadingZeroBitCount) / 4))
            put(":")
            put(UInt32(bus), digits: 2)
            put(":")
            put(UInt32(device), digits: 2)
            put(".")
            put(UInt32(function), digits: 1)
            return count
        }
    }
}
