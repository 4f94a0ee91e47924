// Names for people, from the pci.ids file of the system where one is installed (packages pci.ids, hwdata).

import Files
import PCI

/// Vendors, devices and classes by their numbers.
struct DeviceNames {
    private static let files = [
        "/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/var/lib/pciutils/pci.ids",
        "/usr/share/pci.ids",
    ]

    private var vendors: [Int: String] = [:]
    private var devices: [Int: String] = [:]
    private var classes: [Int: String] = [:]
    private var baseClasses: [Int: String] = [:]

    /// Reads the first file that is there; without one no name is known.
    init(files: [String] = DeviceNames.files) {
        for file in files {
            if let text = try? contents(of: file) {
                read(text)
                return
            }
        }
    }

    /// What a device is, and who made it: `VGA compatible controller: NVIDIA Corporation AD102`.
    func description(vendor: Int?, device: Int?, classCode: Int?) -> String {
        let kind = classCode.map { code in
            classes[code >> 8] ?? baseClasses[code >> 16]
                ?? ClassCode(rawValue: UInt32(truncatingIfNeeded: code)).name
        }
        guard let vendor, let device else { return kind ?? "" }
        let numbers = "\(hexadecimal(vendor, width: 4)):\(hexadecimal(device, width: 4))"
        let name = [vendors[vendor], devices[vendor << 16 | device]].compactMap { $0 }.joined(separator: " ")
        let what = name.isEmpty ? numbers : devices[vendor << 16 | device] == nil ? "\(name) \(numbers)" : name
        return (kind.map { "\($0): " } ?? "") + what
    }

    /// The format: `vvvv  name`, tab `dddd  name` below its vendor; from the first `C cc  name` on classes, with
    /// tab `ss  name` below.
    private mutating func read(_ bytes: [UInt8]) {
        var vendor: Int?
        var base: Int?
        for line in bytes.split(separator: 0x0a) where line.first != UInt8(ascii: "#") {
            if line.starts(with: [0x09, 0x09]) { continue }
            if line.first == 0x09 {
                let rest = line.dropFirst()
                if let base, let (sub, name) = Self.entry(rest, digits: 2) { classes[base << 8 | sub] = name }
                if let vendor, let (device, name) = Self.entry(rest, digits: 4) {
                    devices[vendor << 16 | device] = name
                }
            } else if line.starts(with: [UInt8(ascii: "C"), 0x20]) {
                vendor = nil
                guard let (number, name) = Self.entry(line.dropFirst(2), digits: 2) else { continue }
                base = number
                baseClasses[number] = name
            } else if base == nil, let (number, name) = Self.entry(line, digits: 4) {
                vendor = number
                vendors[number] = name
            }
        }
    }

    private static func entry(_ line: ArraySlice<UInt8>, digits: Int) -> (Int, String)? {
        guard line.count > digits + 2,
            let number = Int(String(decoding: line.prefix(digits), as: UTF8.self), radix: 16)
        else { return nil }
        return (number, String(decoding: line.dropFirst(digits + 2), as: UTF8.self))
    }
}
