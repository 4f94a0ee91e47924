// The nodes in /dev that vfio's groups and devices have.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func nodeStatus(of node: VFIONode) throws(HostError) -> NodeStatus? {
        guard isWritable else { return nil }
        var status = stat()
        let path: String
        do throws(SystemError) {
            guard let place = try place(of: node) else { return nil }
            path = place.path
            let number = NodeNumber(try Directory(path: joined("sys")).text(place.attribute))
            guard stat(path, &status) == 0 else { throw SystemError(errno: errno) }
            guard let number, NodeNumber(status) == number else { return nil }
        } catch {
            if error.isVanished { return nil }
            throw .system(call: "look at the node of \(node)", errno: error.errno)
        }
        return NodeStatus(
            path: path,
            permissions: NodePermissions(
                uid: status.st_uid, gid: status.st_gid, mode: UInt16(truncatingIfNeeded: status.st_mode & 0o7777)))
    }

    /// Where a node is, and where below /sys its number is told; nil for a device without a cdev.
    private func place(of node: VFIONode) throws(SystemError) -> (path: String, attribute: String)? {
        switch node {
        case .group(let number): return (joined("dev/vfio/\(number)"), "class/vfio/\(number)/dev")
        case .container: return (joined("dev/vfio/vfio"), "class/misc/vfio/dev")
        case .iommufd: return (joined("dev/iommu"), "class/misc/iommu/dev")
        case .cdev(let device):
            guard let name = try Directory(path: folder(of: device) + "/vfio-dev").names().first else { return nil }
            return (joined("dev/vfio/devices/\(name)"), "class/vfio-dev/\(name)/dev")
        }
    }
}
