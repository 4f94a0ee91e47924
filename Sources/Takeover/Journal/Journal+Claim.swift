// Claims as their files have them, and back. What does not fit makes the file a corrupt one.

import Grouping
import Host
import Inventory
import PCI
import Varlink

extension Journal {
    /// The version of the files that this daemon writes.
    static let version = 1

    /// Why a file of this version is none that a claim can be made of.
    struct Unfit: Error {
        var reason: String
    }
}

extension Journal.Claim {
    init(_ claim: Claim, bootID: String) {
        self.init(
            version: Journal.version, bootId: bootID, id: claim.id, name: claim.name,
            owner: .init(
                uid: Int(claim.owner.uid), gid: Int(claim.owner.gid), pid: Int(claim.owner.process.pid),
                startTime: Int(clamping: claim.owner.process.startTime), command: claim.owner.command),
            since: claim.since, lifetime: .init(claim.lifetime), access: .init(claim.access),
            leftOut: claim.leftOut.map(Journal.DeviceAddress.init), groups: claim.groups.map(Journal.Group.init),
            ioas: claim.ioas.map { Int($0) },
            unownedMoments: claim.unownedMoments.map {
                .init(group: $0.group.text, since: $0.since, seconds: $0.seconds, cause: $0.cause)
            },
            consumerTimeout: claim.consumerTimeout.map { timeout in
                switch timeout {
                case .after(let duration): duration / .seconds(1)
                case .never: -1
                }
            })
    }

    /// The claim that it is of.
    func claim() throws(Journal.Unfit) -> Claim {
        guard let uid = UInt32(exactly: owner.uid), let gid = UInt32(exactly: owner.gid) else {
            throw .init(reason: "its owner is no user")
        }
        let process = try ProcessIdentity(owner.pid, owner.startTime)
        var claim = Claim(
            id: id, name: name, owner: Owner(uid: uid, gid: gid, process: process, command: owner.command),
            since: since, lifetime: Lifetime(lifetime), access: Access(access), groups: [])
        for address in leftOut { claim.leftOut.append(try DeviceAddress(address)) }
        for group in groups { claim.groups.append(try group.group()) }
        claim.ioas = try ioas.fitting()
        for moment in unownedMoments {
            claim.unownedMoments.append(
                UnownedMoment(
                    group: try GroupID(journal: moment.group), since: moment.since, seconds: moment.seconds,
                    cause: moment.cause))
        }
        claim.consumerTimeout = consumerTimeout.map { $0 < 0 ? .never : .after(.seconds(min($0, 1e9))) }
        return claim
    }
}

extension Journal.Group {
    init(_ group: ClaimedGroup) {
        self.init(
            id: group.id.text, goal: .init(group.goal), members: group.members.map(Journal.Member.init),
            kernelGroups: group.kernelGroups, wasHeld: group.wasHeld,
            worker: group.workers.first.map(Journal.Worker.init),
            workers: group.workers.count < 2 ? nil : group.workers.dropFirst().map(Journal.Worker.init),
            nodes: group.nodes.isEmpty ? nil : group.nodes.map(Journal.Node.init))
    }

    func group() throws(Journal.Unfit) -> ClaimedGroup {
        var group = ClaimedGroup(
            id: try GroupID(journal: id), kernelGroups: kernelGroups, goal: Goal(goal), members: [])
        for member in members { group.members.append(try member.member()) }
        for node in nodes ?? [] { group.nodes.append(try node.node()) }
        group.wasHeld = wasHeld
        if let worker { group.workers.append(try worker.worker()) }
        for worker in workers ?? [] { group.workers.append(try worker.worker()) }
        return group
    }
}

extension Journal.Worker {
    init(_ worker: OutstandingWorker) {
        self.init(
            pid: Int(worker.process.pid), startTime: Int(clamping: worker.process.startTime), action: worker.action,
            member: worker.member.map(Journal.DeviceAddress.init))
    }

    func worker() throws(Journal.Unfit) -> OutstandingWorker {
        var worker = OutstandingWorker(process: try ProcessIdentity(pid, startTime), action: action)
        if let member { worker.member = try DeviceAddress(member) }
        return worker
    }
}

extension Journal.Member {
    init(_ member: ClaimedMember) {
        let ids = member.identity
        self.init(
            address: .init(member.address),
            identity: .init(
                vendorId: ids.vendorID.map(Int.init), deviceId: ids.deviceID.map(Int.init),
                subsystemVendorId: ids.subsystemVendorID.map(Int.init),
                subsystemDeviceId: ids.subsystemDeviceID.map(Int.init),
                classCode: ids.classCode.map { Int($0.rawValue) }
            ),
            bridge: member.isBridge,
            driver: {
                switch member.before.driver {
                case .unknown: .unknown
                case .none: .none
                case .named: .named
                }
            }(),
            driverName: member.before.driver.name, driverOverride: member.before.driverOverride,
            powerControl: member.before.powerControl?.rawValue, d3coldAllowed: member.before.d3coldAllowed,
            virtualFunctions: member.before.virtualFunctions, module: member.before.module,
            vfioDriver: member.vfioDriver, pin: member.pin,
            reset: member.reset?.journalName,
            resetReason: member.reset?.reason, enableCount: member.enableCount,
            virtualFunctionsFate: member.virtualFunctions?.journalName,
            virtualFunctionsReason: member.virtualFunctions?.reason, restored: member.isRestored)
    }

    func member() throws(Journal.Unfit) -> ClaimedMember {
        let before: ClaimedMember.DriverBefore
        switch driver {
        case .unknown: before = .unknown
        case .none: before = .none
        case .named:
            guard let driverName, !driverName.isEmpty else { throw .init(reason: "a driver has no name") }
            before = .named(driverName)
        }
        return ClaimedMember(
            address: try DeviceAddress(address),
            identity: PCIFunction.Identification(
                vendorID: try identity.vendorId.fitting(), deviceID: try identity.deviceId.fitting(),
                subsystemVendorID: try identity.subsystemVendorId.fitting(),
                subsystemDeviceID: try identity.subsystemDeviceId.fitting(),
                classCode: try (identity.classCode.fitting() as UInt32?).map { ClassCode(rawValue: $0) }),
            isBridge: bridge,
            before: .init(
                driver: before, driverOverride: driverOverride,
                powerControl: powerControl.flatMap { PowerControl(rawValue: $0) }, d3coldAllowed: d3coldAllowed,
                virtualFunctions: virtualFunctions, module: module),
            vfioDriver: vfioDriver, pin: pin, reset: reset.flatMap { ResetResult($0, reason: resetReason) },
            enableCount: enableCount,
            virtualFunctions: virtualFunctionsFate.flatMap {
                VirtualFunctionsFate($0, reason: virtualFunctionsReason)
            }, isRestored: restored)
    }
}

extension Journal.Node {
    init(_ opened: OpenedNode) {
        var (device, kernelGroup): (DeviceAddress?, Int?)
        switch opened.node {
        case .cdev(let address): device = address
        case .group(let number): kernelGroup = number
        case .container, .iommufd: break
        }
        self.init(
            device: device.map(Journal.DeviceAddress.init), kernelGroup: kernelGroup, user: Int(opened.user),
            uid: Int(opened.before.uid), gid: Int(opened.before.gid), mode: Int(opened.before.mode))
    }

    func node() throws(Journal.Unfit) -> OpenedNode {
        let node: VFIONode
        switch (device, kernelGroup) {
        case (let device?, nil): node = .cdev(try DeviceAddress(device))
        case (nil, let number?): node = .group(number)
        default: throw .init(reason: "a node is of neither a device nor a kernel group")
        }
        guard let user = UInt32(exactly: user), let uid = UInt32(exactly: uid), let gid = UInt32(exactly: gid),
            let mode = UInt16(exactly: mode), mode <= 0o7777
        else { throw .init(reason: "the owner or the mode of a node is none") }
        return OpenedNode(node, user: user, before: NodePermissions(uid: uid, gid: gid, mode: mode))
    }
}

extension GroupID {
    fileprivate init(journal text: String) throws(Journal.Unfit) {
        guard let id = GroupID(text) else { throw .init(reason: "\(text) is no group's identity") }
        self = id
    }
}

extension ProcessIdentity {
    fileprivate init(_ pid: Int, _ startTime: Int) throws(Journal.Unfit) {
        guard let pid = Int32(exactly: pid), pid > 0, let startTime = UInt64(exactly: startTime) else {
            throw .init(reason: "\(pid) is no process")
        }
        self.init(pid: pid, startTime: startTime)
    }
}

extension Int? {
    fileprivate func fitting<Number: FixedWidthInteger>() throws(Journal.Unfit) -> Number? {
        guard let self else { return nil }
        guard let number = Number(exactly: self) else { throw .init(reason: "\(self) is too large a number") }
        return number
    }
}

extension ResetResult {
    fileprivate var journalName: String {
        switch self {
        case .reset: "reset"
        case .notReset: "notReset"
        case .failed: "failed"
        }
    }

    /// nil for a name that this daemon does not know: the reset is tried again then.
    fileprivate init?(_ name: String, reason: String?) {
        let reason = reason ?? "why is not on record"
        switch name {
        case "reset": self = .reset
        case "notReset": self = .notReset(reason: reason)
        case "failed": self = .failed(reason: reason)
        default: return nil
        }
    }
}

extension VirtualFunctionsFate {
    fileprivate var journalName: String {
        switch self {
        case .gone: "gone"
        case .madeAgain: "madeAgain"
        case .notMade: "notMade"
        }
    }

    fileprivate var reason: String? { if case .notMade(let reason) = self { reason } else { nil } }

    /// nil for a name that this daemon does not know: it looks for itself then.
    fileprivate init?(_ name: String, reason: String?) {
        switch name {
        case "gone": self = .gone
        case "madeAgain": self = .madeAgain
        case "notMade": self = .notMade(reason: reason ?? "why is not on record")
        default: return nil
        }
    }
}
