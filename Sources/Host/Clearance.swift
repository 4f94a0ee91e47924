// The one rule before a step touches a member of a claim (resets it, unbinds it, lets go of it, takes its nodes back,
// restores it): the device is the one on record; it is on the driver that the daemon bound, or where the step allows that
// on none; and nobody but the daemon has it open. A clearance is the proof, and the calls that touch a device ask for one.

import EventLoop
import Inventory

/// Leave to touch a device, established a moment ago. Only `Host.clear` gives one: it is for the next call, and for no
/// later one.
public struct Clearance: Equatable, Sendable {
    /// The device.
    public let device: DeviceAddress
    /// What was read of it.
    public let binding: DeviceBinding

    init(_ device: DeviceAddress, _ binding: DeviceBinding) {
        self.device = device
        self.binding = binding
    }
}

/// What a device has to be like for a step to touch it.
public struct ClearanceTerms: Sendable {
    /// The device.
    public var device: DeviceAddress
    /// What it is on record as; what is nil in it may be anything.
    public var identification: PCIFunction.Identification
    /// The drivers that it may be on; nil among them stands for none.
    public var drivers: Set<String?>
    /// Its `enable` while nobody has it open; nil where that is not known.
    public var enableCount: Int?
    /// The daemon itself has it open, bound or from its group: then its `enable` says nothing of others, and nobody else
    /// can have it bound.
    public var isDaemons: Bool
    /// Whether who was found with it open holds it for the daemon.
    public var isOurs: @Sendable @LoopActor (DeviceHolder) -> Bool

    public init(
        _ device: DeviceAddress, _ identification: PCIFunction.Identification, on drivers: Set<String?>,
        enableCount: Int? = nil, isDaemons: Bool = false,
        isOurs: @escaping @Sendable @LoopActor (DeviceHolder) -> Bool = { _ in false }
    ) {
        self.device = device
        self.identification = identification
        self.drivers = drivers
        self.enableCount = enableCount
        self.isDaemons = isDaemons
        self.isOurs = isOurs
    }
}

extension ClearanceTerms {
    /// Whether somebody has the device open whom nothing in /proc shows: a descriptor hides in a socket and in io_uring, but
    /// what it has opened is enabled once more (vfio_pci_core_enable calls pci_enable_device, vfio_pci_core_disable the
    /// reverse).
    ///
    /// - Parameter now: its `enable`; nil where that is not known.
    /// - Returns: whether that is more than usual; false where one of the two is not known.
    public func isOpenUnseen(_ now: Int?) -> Bool {
        guard !isDaemons, let enableCount, let now else { return false }
        return now > enableCount
    }
}

/// Why a device may not be touched.
public enum Obstacle: Error, Equatable, Sendable {
    /// There is no such device any more.
    case gone
    /// Another device sits at its address.
    case replaced(now: PCIFunction.Identification)
    /// It is on a driver that is none of the step's; nil for none.
    case onDriver(String?)
    /// Somebody has it open; nobody is named where nothing in /proc shows who.
    case open([DeviceHolder])
    /// It cannot be found out.
    case unknown(HostError)
}

extension Host {
    /// Looks at a device anew, and gives leave to touch it.
    ///
    /// - Parameter terms: what the device has to be like.
    /// - Returns: leave for the call that comes next.
    /// - Throws: what stands in the way.
    public func clear(_ terms: ClearanceTerms) async throws(Obstacle) -> Clearance {
        let device = terms.device
        // First, since it takes the longest: all else is read after it.
        let holders: [DeviceHolder]
        let found: DeviceBinding?
        do throws(HostError) {
            holders = try await self.holders(of: [device]).filter { !terms.isOurs($0) }
            found = try await readBinding(of: device)
        } catch { throw .unknown(error) }
        guard let binding = found else { throw .gone }
        if let now = binding.identification, !now.agrees(with: terms.identification) { throw .replaced(now: now) }
        guard terms.drivers.contains(binding.driver) else { throw .onDriver(binding.driver) }
        guard holders.isEmpty else { throw .open(holders) }
        if terms.isOpenUnseen(binding.enableCount) { throw .open([]) }
        return Clearance(device, binding)
    }

    /// Whether a clearance still holds, as far as that is seen without waiting for anything. Between the look that gave it
    /// and the call lies a write to the journal, which may take as long as a disk does.
    public func stillHolds(_ clearance: Clearance) -> Bool {
        let before = clearance.binding
        if let now = driverLink(of: clearance.device), now != DriverLink(to: before.driver) { return false }
        if let was = before.identification, let now = identification(of: clearance.device), !now.agrees(with: was) {
            return false
        }
        if let count = before.enableCount, let now = enableCount(of: clearance.device), now > count { return false }
        return true
    }
}
