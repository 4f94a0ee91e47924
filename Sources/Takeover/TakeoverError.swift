// Why something that was asked of a claim could not be done. The first cause is kept, whatever comes after it.

import EventLoop
import Files
import Glibc
import Grouping
import Host
import Inventory

/// A step that failed.
public struct StepFailure: Error, Equatable, Sendable {
    /// What stopped it.
    public enum Cause: Equatable, Sendable {
        /// The kernel refused.
        case errno(Int32)
        /// The call has not returned; the worker that sits in it.
        case blocked(pid: Int32)
        /// The call returned, and what it should have done is not so; or it could not be made. In words.
        case reason(String)
        /// The daemon ends; all is left as it is.
        case stopped
    }

    public var group: GroupID
    public var member: DeviceAddress?
    /// What was done, in a word.
    public var action: String
    public var cause: Cause
    /// What the kernel means by it, in words, where that is known.
    public var explanation: String?
    /// What would help, in words.
    public var remedy: String
    /// Members that are back, and in something not as they were for good.
    public var remarks: [Unrestored] = []
    /// The host began to use members meanwhile; empty for every other failure.
    public var uses: [DeviceUse] = []
    /// The kernel did what it was told, and the driver would not have the device: nothing tells when it would.
    public var isRefusal = false

    /// Somebody else has what was to be opened.
    var isBusy: Bool {
        if case .errno(EBUSY) = cause { true } else { false }
    }

    /// What went wrong, and in what, in words.
    public var reason: String { "\(action)\(member.map { " of \($0)" } ?? ""): \(detail)" }

    /// What went wrong, in words.
    public var detail: String {
        switch cause {
        case .errno(let errno): explanation ?? KernelError(errno).description
        case .blocked(let pid): explanation ?? "it has not returned from the kernel, where process \(pid) waits for it"
        case .reason(let reason): reason
        case .stopped: "the daemon ends"
        }
    }
}

/// A member that is not as it was.
public struct Unrestored: Equatable, Sendable {
    public var device: DeviceAddress
    /// What is different, in words.
    public var reason: String
    /// What would help, in words.
    public var remedy: String?
    /// The override that it is left with, where that is not the one that it had.
    public var driverOverride: String?
    /// What puts it back by hand, for root's shell.
    public var commands: [String] = []

    init(device: DeviceAddress, reason: String, remedy: String? = nil) {
        self.device = device
        self.reason = reason
        self.remedy = remedy
    }
}

extension TakeoverError {
    /// Whether it passes when another claim ends.
    var isOfAnotherClaim: Bool {
        switch self {
        case .groupBusy, .relatedGroupBusy: true
        default: false
        }
    }
}

/// Why a request of the takeover failed.
public enum TakeoverError: Error, Equatable, Sendable {
    case noSuchGroup(String)
    /// Also a device that is in no group; why, in words.
    case noSuchDevice(DeviceAddress, reason: String?)
    /// Also with what the host uses of groups that it could have otherwise.
    case notEnoughGroups(selector: Int, wanted: Int, found: Int, inUse: [DeviceUse] = [])
    case notClaimable(GroupID, reason: String)
    case groupBusy(GroupID, state: String, claim: Claim?)
    /// Another claim has a group that a member depends on, or one that depends on a member; how, in words.
    case relatedGroupBusy(GroupID, state: String, claim: Claim, reason: String)
    /// The host itself uses members.
    case inUse([DeviceUse])
    /// All members are as they were, but those named; the daemon goes on restoring them.
    case failed(StepFailure, unrestored: [Unrestored])
    case accessNotAvailable([Access], reason: String)
    case noSuchClaim(String)
    case wrongState(subject: String, state: String, reason: String)
    case tooManyGroups(limit: Int, reason: String)
    /// Nothing was done: it could not be put on record.
    case journal(FileFailure)
    /// Nothing was done: its descriptors, `demand` of them, could not outlast the daemon beside those of others.
    case storeIsFull(capacity: Int, used: Int, demand: Int)
    /// The request contradicts itself; the parameter that does.
    case badRequest(parameter: String)
    /// The daemon ends, or who asked is gone.
    case stopped
}
