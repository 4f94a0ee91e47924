// The serial number that a function has in its configuration space. PCI Express Base Specification section 7.9.3.

extension ConfigSpace {
    /// The Device Serial Number (an EUI-64), as lspci writes it: eight bytes in hexadecimal, the highest first. nil where
    /// the function has none, or it was not readable.
    public var serialNumber: String? {
        guard let capability = extendedCapabilities.first(0x03).value, let low = doubleWord(capability.offset + 4),
            let high = doubleWord(capability.offset + 8)
        else { return nil }
        return [high, low].flatMap { half in
            (0..<4).map { hexadecimal(UInt8(truncatingIfNeeded: half >> (24 - 8 * $0)), width: 2) }
        }.joined(separator: "-")
    }
}
