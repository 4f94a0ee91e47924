// The kernel's announcements that something about its devices changed. They are hints: what is true is read again from
// sysfs, so a lost one (ENOBUFS) only means to read again.

import CLinux
import EventLoop
import Glibc

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

    init(action: String, subsystem: String, name: String, driver: String? = nil, node: String? = nil) {
        self.action = action
        self.subsystem = subsystem
        self.name = name
        self.driver = driver
        self.node = node
    }

    /// Reads `ACTION@DEVPATH`, NUL, and `KEY=VALUE` strings ended by NUL (lib/kobject_uevent.c); nil for anything else.
    init?(_ message: some Sequence<UInt8>) {
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
    var concernsGroups: Bool {
        switch subsystem {
        case "pci", "platform", "amba", "fsl-mc", "cdx", "ap", "ccw", "mdev", "iommu", "vfio": true
        // Of an unbind that waits for a device's holders this is all that is announced before they let go.
        case "vfio-dev": true
        default: false
        }
    }
}

/// The socket that uevents come through.
@LoopActor
final class UeventSocket {
    private let descriptor: Int32

    init() throws(SystemError) {
        descriptor = clinux_uevent_open(1 << 20)
        guard descriptor >= 0 else { throw SystemError(errno: -descriptor) }
    }

    isolated deinit {
        guard descriptor >= 0 else { return }
        EventLoop.main.forget(descriptor)
        close(descriptor)
    }

    /// Suspends until an event concerns groups or events were lost; takes all that are waiting then.
    func nextRelevantChange() async throws(LoopError) {
        while true {
            if drain() { return }
            try await EventLoop.main.readable(descriptor)
        }
    }

    private func drain() -> Bool {
        var isRelevant = false
        var message = [UInt8](repeating: 0, count: 8192)
        while true {
            let n = clinux_uevent_receive(descriptor, &message, message.count)
            if n == -Int(ENOBUFS) {
                isRelevant = true
            } else if n == -Int(EINTR) || n == 0 {
                continue
            } else if n < 0 {
                return isRelevant
            } else if Uevent(message[..<n])?.concernsGroups == true {
                isRelevant = true
            }
        }
    }
}
