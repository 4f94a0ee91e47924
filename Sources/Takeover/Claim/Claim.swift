// A claim as it is on record: whose it is, and for every member what it was before. All that is done to a host follows
// from this and from what the host shows, so that it can be finished or undone by a daemon that knows nothing else.

import Grouping
import Host
import Inventory
import PCI

/// Whose a claim is.
public struct Owner: Equatable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    /// The process that called.
    public var process: ProcessIdentity
    /// What the process is called; nil when that could not be read.
    public var command: String?

    public init(uid: UInt32, gid: UInt32, process: ProcessIdentity, command: String? = nil) {
        self.uid = uid
        self.gid = gid
        self.process = process
        self.command = command
    }
}

/// A time in which the kernel would have let a host driver into a claimed group.
public struct UnownedMoment: Equatable, Sendable {
    public var group: GroupID
    /// When it began, in seconds since 1970.
    public var since: Int
    /// How long it lasted; nil while it lasts.
    public var seconds: Double?
    /// What it came from, in words.
    public var cause: String
}

/// The right of one client to use whole groups, with all that must be undone later.
public struct Claim: Equatable, Sendable {
    /// Unique on this host: `claim-` and 16 hexadecimal digits.
    public let id: String
    /// What its owner calls it.
    public var name: String?
    public var owner: Owner
    /// In seconds since 1970.
    public var since: Int
    public var lifetime: Lifetime
    public var access: Access
    /// Members that stayed bound to the daemon when the others were handed over.
    public var leftOut: [DeviceAddress] = []
    public var groups: [ClaimedGroup]
    /// The I/O address space in the claim's iommufd.
    public var ioas: UInt32?
    public var unownedMoments: [UnownedMoment] = []
    /// How long it is waited for who is to open its nodes; nil for as long as the operator says.
    public var consumerTimeout: ConsumerTimeout?
    /// What of its record this daemon does not understand, in words: then it is held until somebody releases it.
    public var notUnderstood: [String] = []

    /// Its identity, and what its owner calls it, in words.
    var title: String { id + (name.map { " \"\($0)\"" } ?? "") }

    /// What it is meant to become: all of it is on its way back when nothing of it is held or taken.
    public var goal: Goal {
        if groups.contains(where: { $0.goal == .take }) { return .take }
        return groups.contains { $0.goal == .hold } ? .hold : .restore
    }
}

/// A group of a claim.
public struct ClaimedGroup: Equatable, Sendable {
    public var id: GroupID
    /// The numbers that the kernel gave its groups in it, for this boot and while they have members.
    public var kernelGroups: [Int]
    public var goal: Goal
    public var members: [ClaimedMember]
    /// It was its owner's before it was sent back: its members may have been used, and are reset.
    public var wasHeld = false
    /// The workers that make calls about it, the oldest first: one, and one for each member that it is stuck in.
    public var workers: [OutstandingWorker] = []
    /// Its nodes in /dev that a user may open for the time being.
    public var nodes: [OpenedNode] = []

    /// The members that the claim changes and that are not back with the host.
    var pending: [DeviceAddress] { members.filter { $0.isTouched && !$0.isRestored }.map(\.address) }
}

/// Why a group may not be claimed until somebody says otherwise.
public struct Quarantine: Equatable, Sendable {
    public var reason: String
    /// What was in the group.
    public var members: [DeviceAddress]

    public init(reason: String, members: [DeviceAddress]) {
        self.reason = reason
        self.members = members
    }
}

/// A node in /dev that a user may open for the time being.
public struct OpenedNode: Equatable, Sendable {
    public var node: VFIONode
    /// The user.
    public var user: UInt32
    /// Whose it was before, and will be again.
    public var before: NodePermissions

    init(_ node: VFIONode, user: UInt32, before: NodePermissions) {
        self.node = node
        self.user = user
        self.before = before
    }

    /// What it is meanwhile: nobody else's, whoever was let in before.
    var meanwhile: NodePermissions { NodePermissions(uid: user, gid: before.gid, mode: 0o600) }

    /// Whether a node that is found so was made so for the user, if only by half.
    func isMade(_ found: NodePermissions) -> Bool {
        found != before && (found.uid == user || found.uid == before.uid && found.mode == meanwhile.mode)
    }
}

/// A call that a worker was given and that may not have returned.
public struct OutstandingWorker: Equatable, Sendable {
    public var process: ProcessIdentity
    /// What it does, in a word.
    public var action: String
    public var member: DeviceAddress?
}

/// What became of the reset of a member on its way back.
public enum ResetResult: Equatable, Sendable {
    case reset
    /// None was tried; why, in words.
    case notReset(reason: String)
    /// It was tried, and the device may hold what its last owner left in it, or nothing sensible at all; why, in words.
    case failed(reason: String)
}

extension ResetResult {
    /// Why the device was not reset, in words; nil where it was.
    public var reason: String? {
        switch self {
        case .reset: nil
        case .notReset(let reason), .failed(let reason): reason
        }
    }
}

/// A member of a claimed group.
public struct ClaimedMember: Equatable, Sendable {
    /// The driver that a member had.
    public enum DriverBefore: Equatable, Sendable {
        /// It had been pinned before, or came while the group was claimed: on its way back the kernel chooses.
        case unknown
        case none
        case named(String)

        public var name: String? { if case .named(let name) = self { name } else { nil } }
    }

    /// What it was before anything was done to it.
    public struct Before: Equatable, Sendable {
        public var driver: DriverBefore
        public var driverOverride: String?
        public var powerControl: PowerControl?
        public var d3coldAllowed: Bool?
        /// How many virtual functions it had; nil where it can have none.
        public var virtualFunctions: Int?
        /// The module of the driver; nil for one that is part of the kernel, or where that is not known.
        public var module: String?
    }

    public var address: DeviceAddress
    /// What it is: another device at its address is none of the claim's business.
    public var identity: PCIFunction.Identification
    public var isBridge: Bool
    public var before: Before
    /// The vfio driver that it is taken to; nil for what stays without one.
    public var vfioDriver: String?
    /// The override that keeps others off it while it is claimed; nil for what is not touched.
    public var pin: String?
    public var reset: ResetResult?
    /// Its `enable` on the vfio driver while nobody had it open; nil where that is not known.
    public var enableCount: Int?
    /// What became of the virtual functions that it had; nil while nothing did.
    public var virtualFunctions: VirtualFunctionsFate?
    /// It is as it was before, or nothing can make it so any more.
    public var isRestored = false

    /// Whether the claim changes it at all.
    public var isTouched: Bool { pin != nil }
}

/// The names that pins are made of.
public enum Pin {
    /// The override of what shall have no driver: no driver is called so, which survives probes and rescans
    /// (Documentation/kernel.md, Ownership, pins).
    public static let noDriver = "none-such"
}
