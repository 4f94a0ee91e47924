// Who may open a node of vfio in /dev.

import Inventory

/// The owner, the group and the mode of a node.
public struct NodePermissions: Equatable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    /// The lower 12 bits of st_mode.
    public var mode: UInt16

    public init(uid: UInt32, gid: UInt32, mode: UInt16) {
        self.uid = uid
        self.gid = gid
        self.mode = mode
    }
}

/// A node as it is in /dev.
public struct NodeStatus: Equatable, Sendable {
    public var path: String
    public var permissions: NodePermissions

    public init(path: String, permissions: NodePermissions) {
        self.path = path
        self.permissions = permissions
    }
}
