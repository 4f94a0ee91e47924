// One announcement of the kernel that something about its devices changed (lib/kobject_uevent.c).

/// A uevent, as far as it matters here.
public struct Uevent: Equatable, Sendable {
    /// add, remove, bind, unbind, change, ...
    public var action: String
    /// The bus or class of the device.
    public var subsystem: String
    /// The last part of DEVPATH: an address, or the N of vfio/N.
    public var name: String
    /// DRIVER, as in `bind`.
    public var driver: String?
    /// DEVNAME, below /dev, where there is a node.
    public var node: String?

    /// An announcement of these values.
    public init(action: String, subsystem: String, name: String, driver: String? = nil, node: String? = nil) {
        self.action = action
        self.subsystem = subsystem
        self.name = name
        self.driver = driver
        self.node = node
    }

    /// Reads `ACTION@DEVPATH`, NUL, and `KEY=VALUE` strings ended by NUL (lib/kobject_uevent.c); nil for anything else.
    public init?(_ message: some Sequence<UInt8>) {
        let fields = Array(message).split(separator: 0)
        guard let head = fields.first, head.contains(UInt8(ascii: "@")) else { return nil }
        var values: [String: String] = [:]
        for field in fields.dropFirst() {
            guard let equals = field.firstIndex(of: UInt8(ascii: "=")) else { continue }
            values[String(decoding: field[..<equals], as: UTF8.self)] =
                String(decoding: field[(equals + 1)...], as: UTF8.self)
        }
        guard let action = values["ACTION"], let subsystem = values["SUBSYSTEM"] else { return nil }
        let path = head[head.index(after: head.firstIndex(of: UInt8(ascii: "@")) ?? head.startIndex)...]
        self.init(
            action: action, subsystem: subsystem,
            name: path.split(separator: UInt8(ascii: "/")).last.map { String(decoding: $0, as: UTF8.self) } ?? "",
            driver: values["DRIVER"], node: values["DEVNAME"])
    }

    /// Whether the inventory may be different after it: the bus is one whose devices may be in groups.
    public var concernsGroups: Bool {
        switch subsystem {
        case "pci", "platform", "amba", "fsl-mc", "cdx", "ap", "ccw", "mdev", "iommu", "vfio": true
        // Of an unbind that waits for a device's holders this is all that is announced before they let go.
        case "vfio-dev": true
        default: false
        }
    }
}
