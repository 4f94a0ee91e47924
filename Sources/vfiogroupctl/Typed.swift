// What people type for a device, a group or a selector, as the API wants it.

import EventLoop
import GroupAPI
import Varlink

extension APIDeviceAddress {
    /// Reads what people type: a PCI address with or without its domain, or `BUS/NAME`.
    ///
    /// - Parameter text: what was typed.
    /// - Throws: a complaint about anything else.
    init(typed text: String) throws(Complaint) {
        let complaint = Complaint(description: "\"\(text)\" is no device: give a PCI address, or BUS/NAME")
        if let slash = text.firstIndex(of: "/") {
            let name = text[text.index(after: slash)...]
            guard slash != text.startIndex, !name.isEmpty else { throw complaint }
            self.init(bus: String(text[..<slash]), name: String(name))
            return
        }
        let parts = text.lowercased().split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, let last = parts.last,
            last.split(separator: ".", omittingEmptySubsequences: false).count == 2,
            text.utf8.allSatisfy({ $0 == 0x3a || $0 == 0x2e || Character(Unicode.Scalar($0)).isHexDigit })
        else { throw complaint }
        self.init(bus: "pci", name: (parts.count == 2 ? "0000:" : "") + text.lowercased())
    }
}

extension Groups.GetGroup.Parameters {
    /// A group by its identity, a kernel group's number or one of its devices.
    init(typed text: String) {
        let subject = Subject(typed: text)
        self.init(id: subject.id, device: subject.device, kernelGroup: subject.kernelGroup)
    }
}

extension Connection {
    /// The identity of a group that was typed in any of the ways that `show` takes.
    func groupIdentity(_ text: String) async throws -> String {
        let parameters = Groups.GetGroup.Parameters(typed: text)
        // The method that is meant says best what is wrong with an identity.
        if let id = parameters.id { return id }
        return try decode(await call(Groups.GetGroup.self, parameters), as: Groups.GetGroup.Reply.self).group.id
    }
}

extension Claims.Selector {
    /// A group's identity, a device, or IDs: `vendor=10de,device=2204,class=0300`.
    init(typed text: String, count: Int? = nil) throws(Complaint) {
        self.init()
        if text.utf8.contains(UInt8(ascii: "=")) {
            for part in text.split(separator: ",", omittingEmptySubsequences: false) { try readID(part, of: text) }
            self.count = count
        } else if let address = try? Claims.DeviceAddress(typed: text) {
            device = address
        } else if !text.isEmpty {
            group = text
        } else {
            throw Complaint(description: "an empty selector: give a group's identity, a device or IDs")
        }
    }

    private mutating func readID(_ part: Substring, of text: String) throws(Complaint) {
        let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw Self.complaint(text, "\"\(part)\" is no KEY=VALUE") }
        let digits = sides[1].hasPrefix("0x") ? sides[1].dropFirst(2) : sides[1]
        // Swift takes a sign before digits.
        guard let value = Int(digits, radix: 16), digits.utf8.allSatisfy({ $0 != 0x2b && $0 != 0x2d }) else {
            throw Self.complaint(text, "\"\(sides[1])\" is no hexadecimal number")
        }
        switch (sides[0], digits.utf8.count) {
        case ("vendor", 4) where vendorId == nil: vendorId = value
        case ("device", 4) where deviceId == nil: deviceId = value
        case ("class", 4) where classCode == nil: classCode = value << 8
        case ("class", 6) where classCode == nil:
            classCode = value
            classMask = 0xff_ffff
        case ("vendor", 4), ("device", 4), ("class", 4), ("class", 6):
            throw Self.complaint(text, "\(sides[0]) is there twice")
        case ("vendor", _), ("device", _): throw Self.complaint(text, "\(sides[0]) has four hexadecimal digits")
        case ("class", _): throw Self.complaint(text, "class has four hexadecimal digits, or six")
        default: throw Self.complaint(text, "\"\(sides[0])\" is not one of vendor, device, class")
        }
    }

    private static func complaint(_ text: String, _ reason: String) -> Complaint {
        Complaint(
            description: "\"\(text)\" is no selector: \(reason); IDs look like vendor=10de,device=2204,class=0300")
    }
}
