// What is kept for an administrator from boot on: a group or a device, and what must sit there.

import Grouping
public import PCI

/// A claim that the daemon makes by itself.
public struct Reservation: Sendable, Equatable {
    /// What is kept.
    public enum Subject: Sendable, Equatable {
        /// The group of this identity, `Group=`.
        case group(String)
        /// The group of this PCI device, `Device=`.
        case device(PCIAddress)
    }

    /// Its name, and the name of its claim: `[A-Za-z0-9._-]`.
    public var name: String
    public var subject: Subject
    /// What the device must be, or an endpoint of the group, `VendorId=` and `DeviceId=`; nil: whatever sits there.
    public var identification: Identification?
    /// Members to take though the host uses them, `Force=`.
    public var force: Set<PCIAddress> = []

    /// What a device is.
    public struct Identification: Sendable, Equatable, CustomStringConvertible {
        public var vendorID: UInt16
        public var deviceID: UInt16

        public init(vendorID: UInt16, deviceID: UInt16) {
            self.vendorID = vendorID
            self.deviceID = deviceID
        }

        /// `0x10de:0x2684`.
        public var description: String {
            "0x\(hexadecimal(vendorID, width: 4)):0x\(hexadecimal(deviceID, width: 4))"
        }
    }

    public init(name: String, subject: Subject, identification: Identification? = nil) {
        self.name = name
        self.subject = subject
        self.identification = identification
    }

    /// One line for programs: name, `group` or `device`, which one, and `VENDOR:DEVICE` or `-`, with tabs between them.
    public var line: String {
        let kind: String
        let value: String
        switch subject {
        case .group(let id): (kind, value) = ("group", id)
        case .device(let address): (kind, value) = ("device", address.description)
        }
        return [name, kind, value, identification?.description ?? "-"].joined(separator: "\t")
    }
}

/// A section that is being read: what is missing is told when all files are.
struct ReservationDraft: Equatable {
    let name: String
    /// Where its first header stands.
    let file: String
    let line: Int
    var group: String?
    var device: PCIAddress?
    var vendorID: UInt16?
    var deviceID: UInt16?
    var force: Set<PCIAddress> = []

    /// Something that it is, or what keeps it from being that.
    func reservation() -> Reading<Reservation> {
        let subject: Reservation.Subject
        switch (group, device) {
        case (let group?, nil): subject = .group(group)
        case (nil, let device?): subject = .device(device)
        case (nil, nil): return .refused("names nothing; write Group=IDENTITY or Device=ADDRESS below it")
        case (.some, .some): return .refused("has both Group= and Device=; remove one")
        }
        var reservation = Reservation(name: name, subject: subject)
        reservation.force = force
        switch (vendorID, deviceID) {
        case (nil, nil): break
        case (let vendor?, let device?):
            reservation.identification = Reservation.Identification(vendorID: vendor, deviceID: device)
        default: return .refused("has one of VendorId= and DeviceId=; write both or none")
        }
        return .value(reservation)
    }
}

/// A name that is fit for a claim, a line of words and a file.
func reservationName(_ text: String) -> Bool { text.utf8.count <= 64 && GroupID(text) != nil }

/// The identity of a group.
func groupIdentity(_ text: String) -> Reading<String?> {
    guard let id = GroupID(text) else {
        return .refused("is no group's identity; write it as vfiogroupctl list shows it")
    }
    return .value(id.text)
}

/// A PCI address, with or without its domain.
func pciAddress(_ text: String) -> Reading<PCIAddress> {
    guard let address = PCIAddress(text) ?? PCIAddress("0000:" + text) else {
        return .refused("is no PCI address; write it as lspci -D shows it, such as 0000:01:00.0")
    }
    return .value(address)
}

/// A vendor's or a device's number: four hexadecimal digits, as lspci -nn shows them.
func pciID(_ text: String) -> Reading<UInt16?> {
    let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text[...]
    guard digits.utf8.count == 4, let number = unsignedInteger(digits.utf8, radix: 16) else {
        return .refused("is no ID; write four hexadecimal digits, such as 0x10de")
    }
    return .value(UInt16(number))
}
