// How it is found out what the host uses its devices for: a list of sources that know nothing of each other. Each reads
// its facts into a value, and the value then says, without any I/O, what follows for a device.

import EventLoop
import Host
import Inventory
import PCI

/// One way of finding out what the host uses its devices for.
protocol UseSource: Sendable {
    /// Reads the facts. What cannot be read is a fact as well: it becomes an `.unknown` use, never nothing.
    @LoopActor static func read(_ question: UseQuestion) async -> Self

    /// Nodes by which a device is used, beside those in its own folder of sysfs, which are looked for anyway.
    func nodes(of subject: UseSubject) -> Set<NodeNumber>

    /// What follows for a device. No I/O.
    func kinds(of subject: UseSubject) -> [DeviceUse.Kind]
}

extension UseSource {
    func nodes(of subject: UseSubject) -> Set<NodeNumber> { [] }
}

enum UseSources {
    /// All of them, in the order in which their uses are told.
    static let all: [any UseSource.Type] = [
        DiskUses.self,
        NetworkUses.self,
        FabricUses.self,
        DisplayUses.self,
        NVIDIAUses.self,
        ComputeUses.self,
        MediatedDeviceUses.self,
        EngineUses.self,
        MemoryUses.self,
        SoundUses.self,
        ConsoleUses.self,
        WatchdogUses.self,
        RouterUses.self,
        OpenNodeUses.self,
    ]
}

/// What is asked, and what several sources want to know.
@LoopActor
struct UseQuestion {
    var host: LinuxHost
    /// The devices that are asked about. Their openers are not known yet.
    var subjects: [UseSubject]
    /// What is mounted, in every mount namespace.
    var mounts: MountFacts
}

/// A device that is asked about.
struct UseSubject: Equatable, Sendable {
    var device: DeviceAddress
    /// Its folder below /sys.
    var path: [String]
    /// The nodes in its folder, each with its path below that.
    var nodes: [NodeNumber: [String]] = [:]
    /// The folders named `net` in its folder that have nothing in them. One is made for the first interface of a device and
    /// goes with the last, whose network namespace alone shows them in it (drivers/base/core.c, class_dir_create_and_add).
    var emptyNetworks: [[String]] = []
    /// Who has these open, or nodes that a source named.
    var openers: [OpenNodes.Holder] = []
    /// Why it is not known in full who has these open.
    var doubts: [DeviceUse.Kind] = []

    /// Whether what lies at `path` is a part of the device: below it, and below no other PCI function, unless that hangs
    /// on a host bridge which the device itself is (Intel VMD).
    func has(_ path: [String]) -> Bool { belongs(path, to: self.path) }
}

private func belongs(_ path: [String], to device: [String]) -> Bool {
    guard path.count > device.count, path.starts(with: device) else { return false }
    for component in path[device.count...] {
        if HostBridgeID(component) != nil { return true }
        if PCIAddress(component) != nil { return false }
    }
    return true
}
