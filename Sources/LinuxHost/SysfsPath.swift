// Paths inside a sysfs tree, as link targets spell them: pure text, because a capture's links may dangle.

import Inventory
import PCI

/// A path below the sysfs root, without `.` and `..`.
struct SysfsPath: Equatable, Sendable {
    var components: [String]

    /// Where a link's target leads when the link lies in the folder `folder`; nil when it leaves the tree or is
    /// absolute outside of /sys.
    init?(target: String, from folder: [String]) {
        var result: [String]
        // By bytes, not characters: a scan follows a link of every device and every member of a group.
        var rest = target.utf8[...]
        if rest.first == UInt8(ascii: "/") {
            guard rest.starts(with: "/sys/".utf8) else { return nil }
            rest = rest.dropFirst(5)
            result = []
        } else {
            result = folder
        }
        for part in rest.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            if part.elementsEqual("..".utf8) {
                guard result.popLast() != nil else { return nil }
            } else {
                result.append(String(Substring(part)))
            }
        }
        components = result
    }

    /// The components of the folder of the first host bridge on the path, and its name.
    var hostBridge: (folder: [String], id: HostBridgeID)? {
        for (index, component) in components.enumerated() {
            if let id = HostBridgeID(component) { return (Array(components[...index]), id) }
        }
        return nil
    }
}
