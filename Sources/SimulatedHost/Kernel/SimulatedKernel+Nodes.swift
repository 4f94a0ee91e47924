// Who may open the nodes in /dev.

import Host
import Inventory
import PCI

extension SimulatedKernel {
    /// A node that is in /dev.
    struct NodeInDev: Equatable, Sendable {
        var number: DeviceNumber
        /// As devtmpfs makes them.
        var permissions = NodePermissions(uid: 0, gid: 0, mode: 0o600)
    }

    /// The node that the seam means; nil for a device without a cdev, and for those that every kernel has.
    func place(of node: VFIONode) -> Node? {
        switch node {
        case .group(let number): .group(number)
        case .cdev(let device): vfioNumber(of: device).map { .cdev($0) }
        case .container, .iommufd: nil
        }
    }

    /// Who may open a node; nil without one.
    public func permissions(of node: Node) -> NodePermissions? { nodes[node]?.permissions }

    /// Sets who may open a node: ENOENT before it is there, ENXIO where it is stale.
    public mutating func setPermissions(_ permissions: NodePermissions, of node: Node) throws(Refusal) {
        guard let found = nodes[node] else { throw .failed(.enoent) }
        guard sysfsDeviceNumber(of: node) == found.number else { throw .failed(.enxio) }
        try meetFault(.setPermissions, devices(of: node))
        nodes[node]?.permissions = permissions
    }

    private func devices(of node: Node) -> [DeviceAddress] {
        switch node {
        case .group(let number): members(ofGroup: number)
        case .cdev(let number): devices.filter { $0.value.vfio?.number == number }.map(\.key)
        }
    }

    /// Checks that a user may read and write a node: EACCES.
    func checkAccess(to node: NodeInDev, by uid: UInt32) throws(Refusal) {
        let (owner, mode) = (node.permissions.uid, node.permissions.mode)
        let mayOpen = uid == 0 || (uid == owner ? mode & 0o600 == 0o600 : mode & 0o006 == 0o006)
        guard mayOpen else { throw .failed(.eacces) }
    }
}

extension SimulatedKernel.Node {
    /// Where it is.
    var path: String {
        switch self {
        case .group(let number): "/dev/vfio/\(number)"
        case .cdev(let number): "/dev/vfio/devices/vfio\(number)"
        }
    }
}
