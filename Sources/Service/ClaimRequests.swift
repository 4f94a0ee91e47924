// What clients ask of claims, checked and in the words of the takeover; and its refusals in the words of the API.

import EventLoop
import Files
import GroupAPI
import Grouping
import Host
import Inventory
import PCI
import Takeover
import Varlink

extension GroupService {
    func selectors(_ selectors: [Claims.Selector]) throws(ErrorReply) -> [GroupSelector] {
        guard (1...256).contains(selectors.count) else { throw .invalidParameter("selectors") }
        var result: [GroupSelector] = []
        for (index, selector) in selectors.enumerated() {
            result.append(try self.selector(selector, "selectors[\(index)]"))
        }
        return result
    }

    private func selector(_ selector: Claims.Selector, _ path: String) throws(ErrorReply) -> GroupSelector {
        func number<Number: FixedWidthInteger>(_ value: Int?, _ field: String) throws(ErrorReply) -> Number? {
            guard let value else { return nil }
            guard let number = Number(exactly: value) else { throw .invalidParameter("\(path).\(field)") }
            return number
        }
        let pattern = EndpointPattern(
            vendorID: try number(selector.vendorId, "vendorId"), deviceID: try number(selector.deviceId, "deviceId"),
            classCode: try (number(selector.classCode, "classCode") as UInt32?).map { ClassCode(rawValue: $0) },
            classMask: try number(selector.classMask, "classMask") ?? 0xffff00)
        let isByIDs = pattern.vendorID != nil || pattern.deviceID != nil || pattern.classCode != nil
        guard (1...256).contains(selector.count ?? 1) else { throw .invalidParameter("\(path).count") }
        switch (selector.group, selector.device) {
        case (let group?, nil) where !isByIDs: return .group(String(group.prefix(GroupID.longest)))
        case (nil, let address?) where !isByIDs: return .device(try device(address, "\(path).device"))
        case (nil, nil) where isByIDs: return .endpoint(pattern, count: selector.count ?? 1)
        default: throw .invalidParameter(path)
        }
    }

    func devices(_ addresses: [Claims.DeviceAddress]?, _ field: String) throws(ErrorReply) -> [DeviceAddress] {
        var devices: [DeviceAddress] = []
        for (index, address) in (addresses ?? []).enumerated() {
            devices.append(try device(address, "\(field)[\(index)]"))
        }
        return devices
    }

    private func device(_ address: Claims.DeviceAddress, _ path: String) throws(ErrorReply) -> DeviceAddress {
        guard let device = try DeviceAddress(address, path) else { throw .invalidParameter(path) }
        return device
    }
}

extension ErrorReply {
    /// A refusal of the takeover.
    init(_ error: TakeoverError) {
        switch error {
        case .noSuchGroup(let group):
            self.init(Claims.Failure.noSuchGroup(group: String(group.prefix(GroupID.longest))))
        case .noSuchDevice(let device, let reason):
            self.init(Claims.Failure.noSuchDevice(device: .init(device), reason: reason))
        case .notEnoughGroups(let selector, let wanted, let found, let uses):
            self.init(
                Claims.Failure.notEnoughGroups(
                    selector: selector, wanted: wanted, found: found,
                    uses: uses.isEmpty ? nil : uses.map { .init($0) }))
        case .notClaimable(let group, let reason):
            self.init(Claims.Failure.notClaimable(group: group.text, reason: reason))
        case .groupBusy(let group, let state, let claim):
            let status = claim.map { Claims.ClaimStatus(ClaimView(of: $0)) }
            self.init(
                Claims.Failure.groupBusy(
                    group: group.text, state: state, claim: claim?.id, name: claim?.name, owner: status?.owner,
                    since: status?.since))
        case .relatedGroupBusy(let group, let state, let claim, let reason):
            let status = Claims.ClaimStatus(ClaimView(of: claim))
            self.init(
                Claims.Failure.groupBusy(
                    group: group.text, state: state, claim: claim.id, name: claim.name, owner: status.owner,
                    since: status.since, reason: reason))
        case .inUse(let uses):
            self.init(
                Claims.Failure.inUse(
                    uses: uses.map { .init($0) },
                    remedy: "end the uses, or name each of these members in 'force' when the host can do without it"))
        case .failed(let failure, let unrestored):
            var name: String?
            if case .errno(let errno) = failure.cause { name = KernelError(errno).name }
            self.init(
                Claims.Failure.takeoverFailed(
                    group: failure.group.text, member: failure.member.map { .init($0) }, action: failure.action,
                    errnoName: name, reason: failure.detail, remedy: failure.remedy,
                    unrestored: unrestored.map { .init($0) },
                    remarks: failure.remarks.isEmpty ? nil : failure.remarks.map { .init($0) }))
        case .accessNotAvailable(let available, let reason):
            self.init(Claims.Failure.accessNotAvailable(available: available.map { .init($0) }, reason: reason))
        case .noSuchClaim(let claim): self.init(Claims.Failure.noSuchClaim(claim: String(claim.prefix(255))))
        case .wrongState(let subject, let state, let reason):
            self.init(Claims.Failure.wrongState(subject: subject, state: state, reason: reason))
        case .tooManyGroups(let limit, let reason):
            self.init(Claims.Failure.tooManyGroups(limit: limit, reason: reason))
        case .journal(let error):
            self.init(
                Claims.Failure.notRecorded(reason: error.description, remedy: "make room in the state directory"))
        case .storeIsFull:
            self.init(Claims.Failure.notRecorded(reason: error.sentence, remedy: error.remedy ?? ""))
        case .badRequest(let parameter): self = .invalidParameter(parameter)
        case .stopped: self = .clientGone
        }
    }
}
