// Paths inside a sysfs tree, as link targets spell them: pure text, because a capture's links may dangle.

import PCI

/// A path below the sysfs root, without `.` and `..`.
struct SysfsPath: Equatable, Sendable {
    var components: [String]

    /// Where a link's target leads when the link lies in the folder `folder`; nil when it leaves the tree or is
    /// absolute outside of /sys.
    init?(target: String, from folder: [String]) {
        var result: [String]
        var rest = target[...]
        if rest.hasPrefix("/") {
            guard rest.hasPrefix("/sys/") else { return nil }
            rest = rest.dropFirst(5)
            result = []
        } else {
            result = folder
        }
        for part in rest.split(separator: "/") where part != "." {
            if part == ".." {
                guard result.popLast() != nil else { return nil }
            } else {
                result.append(String(part))
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
