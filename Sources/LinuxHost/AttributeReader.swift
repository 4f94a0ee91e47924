// Reading attributes that a folder was seen to have. One that is gone by now means that the device changed meanwhile.

import Files
import Inventory
import PCI

/// Reads the attributes of one device: what is not listed is nil, what cannot be read is nil and noted, what vanished
/// makes the subtree be read again unless `lenient`.
struct AttributeReader {
    let attributes: FunctionFolder.Attributes
    let lenient: Bool
    /// What could not be read, in words.
    var failures: [String] = []

    init(attributes: FunctionFolder.Attributes, lenient: Bool) {
        self.attributes = attributes
        self.lenient = lenient
    }

    /// The text of an attribute.
    mutating func text(
        _ name: String, _ attribute: FunctionFolder.Attributes, _ folder: borrowing Directory
    ) throws(SysfsScan.Vanished) -> String? {
        guard attributes.contains(attribute) else { return nil }
        do throws(SystemError) { return try folder.text(name) } catch { return try note(error, name) }
    }

    /// The last component of a link.
    mutating func linkName(
        _ name: String, _ attribute: FunctionFolder.Attributes, _ folder: borrowing Directory
    ) throws(SysfsScan.Vanished) -> String? {
        guard attributes.contains(attribute) else { return nil }
        do throws(SystemError) { return try folder.linkName(name) } catch { return try note(error, name) }
    }

    /// The bytes of a binary attribute.
    mutating func bytes(
        _ name: String, _ attribute: FunctionFolder.Attributes, _ folder: borrowing Directory
    ) throws(SysfsScan.Vanished) -> [UInt8]? {
        guard attributes.contains(attribute) else { return nil }
        do throws(SystemError) { return try folder.read(name) { Array($0) } } catch { return try note(error, name) }
    }

    /// A hexadecimal number, with or without `0x`; nil and noted where it is none or too large for its type.
    mutating func number<Number: FixedWidthInteger>(
        _ name: String, _ attribute: FunctionFolder.Attributes, _ folder: borrowing Directory
    ) throws(SysfsScan.Vanished) -> Number? {
        guard attributes.contains(attribute) else { return nil }
        let value: UInt64?
        do throws(SystemError) {
            value = try folder.read(name, capacity: 64) { bytes in
                var digits = bytes[...]
                while let last = digits.last, last == 0x0a || last == 0x20 { digits = digits.dropLast() }
                if digits.starts(with: "0x".utf8) { digits = digits.dropFirst(2) }
                return unsignedInteger(digits, radix: 16)
            }
        } catch {
            return try note(error, name)
        }
        guard let number = value.flatMap({ Number(exactly: $0) }) else {
            failures.append("its attribute \(name) holds no number of \(Number.bitWidth) bits")
            return nil
        }
        return number
    }

    private mutating func note<Value>(_ error: SystemError, _ name: String) throws(SysfsScan.Vanished) -> Value? {
        if error.isVanished {
            if !lenient { throw SysfsScan.Vanished() }
        } else {
            failures.append("its attribute \(name) cannot be read: \(errorText(error.errno))")
        }
        return nil
    }
}
