// The end of a claim whose devices cannot be brought back: they are left as they are, and what they are left with is named,
// with what puts it back by hand.

import EventLoop
import Grouping
import Host
import Inventory
import Registry

extension Takeover {
    /// Forgets a claim that cannot be restored. What of its members is not as it was.
    public func abandon(_ name: String) async throws(TakeoverError) -> [Unrestored] {
        let claim = try claim(named: name)
        try checkOnItsWayBack(claim)
        var bindings: [DeviceAddress: DeviceBinding] = [:]
        for member in claim.record.groups.flatMap(\.members) where member.isTouched && !member.isRestored {
            // A device that is busy cannot be read: then what is on record has to do.
            bindings[member.address] = try? await host.readBinding(of: member.address)
        }
        // Others ran meanwhile, and it may have come back at last.
        guard claims[claim.id] === claim else { return [] }
        try checkOnItsWayBack(claim)
        var left: [Unrestored] = []
        for group in claim.record.groups {
            let work = claim.work[group.id]
            for member in group.members where member.isTouched && !member.isRestored {
                let setback = work?.setback
                let waitsFor = work?.step?.waitsFor
                var unrestored =
                    work?.unrestored.first { $0.device == member.address }
                    ?? Unrestored(
                        device: member.address,
                        reason: setback?.failure.reason ?? waitsFor?.sentence ?? "it was on its way back",
                        remedy: setback?.failure.remedy ?? waitsFor?.remedy)
                unrestored.tell(of: member, found: bindings[member.address])
                left.append(unrestored)
            }
        }
        claim.stop()
        forget(claim, cause: "abandoned with \(left.count) members not as they were")
        return left
    }

    private func checkOnItsWayBack(_ claim: ActiveClaim) throws(TakeoverError) {
        guard claim.record.groups.allSatisfy({ $0.goal == .restore }) else {
            throw .wrongState(
                subject: claim.id, state: ClaimView(claim).state.name,
                reason: "only what is on its way back can be abandoned; release it first")
        }
    }
}

extension Unrestored {
    /// Adds what a member is left with, and how it is brought back by hand; `binding` is nil where it cannot be read.
    mutating func tell(of member: ClaimedMember, found binding: DeviceBinding?) {
        let before = member.before
        let override = binding.map(\.driverOverride) ?? member.pin
        let folder = "/sys/bus/\(member.address.bus)/devices/\(member.address.name)"
        if override != before.driverOverride {
            driverOverride = override
            // Without an argument echo writes the line end that clears it.
            commands.append("echo \(before.driverOverride.map { "\($0.shellWord) " } ?? "")> \(folder)/driver_override")
        }
        if let allowed = before.d3coldAllowed, let now = binding?.d3coldAllowed, now != allowed {
            commands.append("echo \(allowed ? 1 : 0) > \(folder)/d3cold_allowed")
        }
        let driver = binding.map(\.driver) ?? member.vfioDriver
        guard driver != before.driver.name || before.driver == .unknown else { return }
        if let driver, driver == member.vfioDriver {
            commands.append("echo \(member.address.name) > \(folder)/driver/unbind")
        }
        if driver == nil || driver == member.vfioDriver, before.driver != .none {
            commands.append("echo \(member.address.name) > /sys/bus/\(member.address.bus)/drivers_probe")
        }
    }
}

extension String {
    /// As one word for a shell.
    fileprivate var shellWord: String {
        let isPlain = utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        if isPlain, !isEmpty { return self }
        return "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
