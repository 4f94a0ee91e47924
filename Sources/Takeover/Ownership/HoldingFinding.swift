// What of a held group is not as it should be, told by comparing what is on record with what the host shows.

import Inventory
import PCI
import Registry

/// Something about a held group that changed behind the daemon's back.
enum HoldingFinding: Hashable, Sendable {
    /// The device left the host.
    case gone(DeviceAddress)
    /// Another device has its address.
    case replaced(DeviceAddress)
    /// It has no driver any more, or not yet.
    case driverless(DeviceAddress)
    /// A driver that may do DMA, or another than it was taken to, has it.
    case onDriver(DeviceAddress, String)
    /// Somebody changed its override.
    case overrideChanged(DeviceAddress)
    /// A device came into the group.
    case joined(DeviceAddress)
    /// The kernel would let host drivers in; the first member that is on vfio.
    case unowned(DeviceAddress)

    /// The member that it is about.
    var member: DeviceAddress {
        switch self {
        case .gone(let member), .replaced(let member), .driverless(let member), .onDriver(let member, _),
            .overrideChanged(let member), .joined(let member), .unowned(let member):
            member
        }
    }

    /// What is wrong with the member, in words; nil for what is wrong only when it cannot be put right.
    var problem: String? {
        switch self {
        case .gone: "the device left the host"
        case .replaced: "another device has its address now"
        case .driverless: "it lost its vfio driver"
        case .onDriver(_, let driver): "it is bound to \(driver)"
        case .overrideChanged, .joined, .unowned: nil
        }
    }

    /// What is wrong with a group that is held; `members` are those that the registry has.
    static func all(of group: ClaimedGroup, _ members: [Member], in inventory: Inventory) -> [HoldingFinding] {
        var findings: [HoldingFinding] = []
        for member in group.members {
            guard let device = inventory[member.address] else {
                findings.append(.gone(member.address))
                continue
            }
            guard device.pci?.identification.agrees(with: member.identity) ?? true else {
                findings.append(.replaced(member.address))
                continue
            }
            let state = MemberState(of: device, kernel: inventory.kernel)
            switch (member.vfioDriver, device.driver) {
            case (let wanted?, let driver?) where driver != wanted: findings.append(.onDriver(member.address, driver))
            case (.some, nil): findings.append(.driverless(member.address))
            case (nil, let driver?) where state == .host: findings.append(.onDriver(member.address, driver))
            default: break
            }
            if let pin = member.pin, !device.driverOverride.isUnknown, device.driverOverride.value != pin {
                findings.append(.overrideChanged(member.address))
            }
        }
        let known = Set(group.members.map(\.address))
        return findings + members.map(\.device.address).filter { !known.contains($0) }.map { .joined($0) }
    }
}
