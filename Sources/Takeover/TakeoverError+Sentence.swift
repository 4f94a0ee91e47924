// Refusals of the takeover in words, for what nobody asked through the API.

import Grouping
import Host
import Inventory

extension TakeoverError {
    /// What stands in the way.
    public var sentence: String {
        switch self {
        case .noSuchGroup(let group): "there is no group \(group)"
        case .noSuchDevice(let device, let reason): "\(device): \(reason ?? "there is no such device")"
        case .notEnoughGroups(_, let wanted, let found, let uses):
            "\(wanted) groups are asked for, and \(found) can be had"
                + (uses.isEmpty ? "" : "; the host itself uses others: \(uses.sentence)")
        case .notClaimable(let group, let reason): "group \(group) can never be claimed here: \(reason)"
        case .groupBusy(let group, let state, let claim):
            "group \(group) is \(state)" + (claim.map { " by \($0.id) of \($0.owner.text)" } ?? "")
        case .relatedGroupBusy(let group, let state, let claim, let reason):
            "\(reason), and group \(group) is \(state) by \(claim.title) of "
                + "\(claim.owner.text) since \(timestamp(claim.since))"
        case .inUse(let uses): "the host itself uses it: \(uses.sentence)"
        case .failed(let failure, _): "group \(failure.group): \(failure.reason)"
        case .accessNotAvailable(_, let reason): reason
        case .noSuchClaim(let claim): "there is no claim \(claim)"
        case .wrongState(let subject, let state, let reason): "\(subject) is \(state): \(reason)"
        case .tooManyGroups(let limit, let reason): "one claim can have \(limit) groups: \(reason)"
        case .journal(let error): "it cannot be put on record: \(error)"
        case .storeIsFull(let capacity, let used, let demand):
            "the service manager keeps \(capacity) descriptors for the daemon, \(used) of them are spoken for, and "
                + "\(demand) more are needed, without which the claim could be lost with the daemon"
        case .badRequest(let parameter): "\(parameter) makes no sense"
        case .stopped: "the daemon ends"
        }
    }

    /// What would help; nil where the sentence says it.
    public var remedy: String? {
        switch self {
        case .inUse: "end the uses, or name the devices in Force= of its section, and vfiogroupctl reload"
        case .relatedGroupBusy(_, _, let claim, _): "release \(claim.id) first, and vfiogroupctl reload"
        case .failed(let failure, _): failure.remedy + ", and vfiogroupctl reload"
        case .storeIsFull: "release other claims, or raise FileDescriptorStoreMax= and FDSTORE= in vfiogroupd.service"
        default: nil
        }
    }
}

extension [DeviceUse] {
    /// All of them in words.
    var sentence: String { map { "\($0.device): \($0.reason)" }.joined(separator: ", ") }
}
