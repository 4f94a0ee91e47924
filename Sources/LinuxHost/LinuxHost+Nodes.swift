// The nodes in /dev that vfio's groups and devices have.

import Files
import Glibc
import Host
import Inventory
import PCI

extension LinuxHost {
    public func nodeStatus(of node: VFIONode) -> NodeStatus? {
        guard isWritable, let (path, attribute) = place(of: node), let sys = try? Directory(path: joined("sys")),
            let number = (try? sys.text(attribute)).flatMap({ NodeNumber($0) })
        else { return nil }
        var status = stat()
        guard stat(path, &status) == 0, NodeNumber(status) == number else { return nil }
        return NodeStatus(
            path: path,
            permissions: NodePermissions(
                uid: status.st_uid, gid: status.st_gid, mode: UInt16(truncatingIfNeeded: status.st_mode & 0o7777)))
    }

    /// Where a node is, and where below /sys its number is told; nil for a device without a cdev.
    private func place(of node: VFIONode) -> (path: String, attribute: String)? {
        switch node {
        case .group(let number): return (joined("dev/vfio/\(number)"), "class/vfio/\(number)/dev")
        case .container: return (joined("dev/vfio/vfio"), "class/misc/vfio/dev")
        case .iommufd: return (joined("dev/iommu"), "class/misc/iommu/dev")
        case .cdev(let device):
            guard let folder = try? Directory(path: folder(of: device) + "/vfio-dev"),
                let name = (try? folder.names())?.first
            else { return nil }
            return (joined("dev/vfio/devices/\(name)"), "class/vfio-dev/\(name)/dev")
        }
    }
}
