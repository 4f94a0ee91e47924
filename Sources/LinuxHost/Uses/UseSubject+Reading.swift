// Walking the folder of a device for what several sources want to know of it.

import EventLoop
import Files
import Glibc
import Inventory
import PCI

extension UseSubject {
    /// A device whose folder is `path` below /sys. Its nodes are all in the folder but those of vfio, which tell of being
    /// handed over and not of the host's use.
    ///
    /// - Throws: that a limit or a rule kept part of the folder from being seen.
    init(_ device: DeviceAddress, at path: [String], _ sys: borrowing Directory) throws(SystemError) {
        self.init(device: device, path: path)
        var budget = 4096
        let folder = try ifThere { () throws(SystemError) in try Directory(path.joined(separator: "/"), below: sys) }
        if let folder { try walk(folder, path, depth: 0, &budget) }
    }

    private mutating func walk(
        _ folder: borrowing Directory, _ path: [String], depth: Int, _ budget: inout Int
    ) throws(SystemError) {
        guard depth < 24, budget > 0 else { return }
        budget -= 1
        var folders: [String] = []
        var hasNode = false
        var isEmpty = true
        var failure: SystemError?
        do throws(SystemError) {
            try folder.forEachEntry { name, type in
                isEmpty = false
                if type == DT_REG, name.elementsEqual("dev".utf8) { hasNode = true }
                guard type == DT_DIR else { return }
                let name = String(decoding: name, as: UTF8.self)
                // Other functions have uses of their own.
                if name == "vfio-dev" || name == "power" || PCIAddress(name) != nil || HostBridgeID(name) != nil {
                    return
                }
                folders.append(name)
            }
        } catch { failure = error }
        if let failure {
            if failure.leavesUnknown { throw failure }
            return
        }
        if isEmpty, depth > 0, path.last == "net" { emptyNetworks.append(path) }
        if hasNode, let text = try ifThere({ () throws(SystemError) in try folder.text("dev") }) {
            let isBlock = try ifThere { () throws(SystemError) in try folder.linkName("subsystem") } == "block"
            let below = Array(path.dropFirst(self.path.count))
            if let number = NodeNumber(text, isBlock: isBlock) { nodes[number] = below }
        }
        for name in folders {
            let below = try ifThere { () throws(SystemError) in try Directory(name, below: folder) }
            if let below { try walk(below, path + [name], depth: depth + 1, &budget) }
        }
    }
}

/// What is read; nil for what is not there, or has gone.
///
/// - Throws: that a limit or a rule kept it from being seen.
private func ifThere<Value: ~Copyable>(_ body: () throws(SystemError) -> Value) throws(SystemError) -> Value? {
    do throws(SystemError) { return try body() } catch {
        if error.leavesUnknown { throw error }
        return nil
    }
}
