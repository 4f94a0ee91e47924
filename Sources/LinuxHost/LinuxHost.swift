// A host as the kernel shows it below a root folder: the live one at `/`, or a captured tree anywhere.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

/// Reads `ROOT/sys` and `ROOT/proc`, and changes the live host.
@LoopActor
public final class LinuxHost: Host {
    /// The root folder.
    public nonisolated let root: String
    public nonisolated var name: String { isLive ? "this host" : root }
    public nonisolated let bootID: String

    public var timeAsleep: Duration { isLive ? MonotonicTime.asleep : .zero }

    /// Whether it is the running kernel's own tree, whose changes are announced.
    nonisolated var isLive: Bool { root == "/" }
    /// Whether it can be changed: what a copy would answer about the use of its devices would be wrong, too.
    nonisolated let isWritable: Bool
    private var remembered: [PCIAddress: SysfsScan.Remembered] = [:]
    private var uevents: UeventSocket?
    /// Follows what the host uses; nil before somebody asks.
    var useChanges: UseChanges?
    nonisolated let lockedAttributes: LockedAttributeReader
    /// The minors of NVIDIA's cards, read once a bind.
    nonisolated let nvidiaMinors: NVIDIAMinors
    /// How long a node may take to appear, or to be the right one, once sysfs shows its device.
    var nodePatience: Duration = .seconds(5)
    /// The devices' cdevs by their numbers, as they were last seen.
    var cdevs: [NodeNumber: DeviceAddress] = [:]
    /// Whether an older kernel has the symbol by which ownership was brought to it.
    private var ownershipSymbol: Bool?
    /// Whether interrupts are remapped, which is so or not from boot on.
    private var interrupts: InterruptRemapping?
    /// Asks the kernel about addresses and routes: messages of netlink, and what comes back. A copy of a host knows of none.
    var routing: @LoopActor ([UInt8]) async -> RoutingReading = { _ in .failed(errno: EOPNOTSUPP) }
    /// The aliases of vfio's variant drivers, as the files were when they were last read.
    var variantAliases: VariantAliases?

    /// A host below `root`, an absolute or relative path. An attribute that waits for the device lock is given
    /// `patience` to come; sysfs answers in microseconds unless the lock is held. Beside the live host only a tree that
    /// is `writable` can be changed: a test's own, which no kernel answers for.
    public nonisolated init(root: String, writable: Bool = false, patience: Duration = .milliseconds(500)) {
        self.root = root
        isWritable = root == "/" || writable
        lockedAttributes = LockedAttributeReader(deadline: patience)
        // A card that sleeps wakes for it, which takes a second or two.
        nvidiaMinors = NVIDIAMinors(deadline: patience * 10)
        let kernel = isWritable ? try? Directory(path: Self.joined(root, "proc/sys/kernel/random")) : nil
        bootID = (try? kernel?.text("boot_id")) ?? root
        if root == "/" {
            let reader = RoutingReader(deadline: .seconds(2))
            routing = { await reader.read($0) }
        }
    }

    public func readInventory() async throws(HostError) -> Inventory {
        // Listening comes first: a change during the scan leads to another scan.
        if isLive, uevents == nil { uevents = try? UeventSocket() }
        let sys = try openSysfs()
        let tree = DeviceTree(below: root)
        var scan = SysfsScan(previous: remembered, keepsFolders: tree != nil)
        await scan.scan(sys)
        if let tree { scan.scanDeviceTree(tree, sys) }
        remembered = scan.remembered
        let attributes = scan.lockedAttributes
        let readings = await lockedAttributes.read(attributes.map(\.path), below: sys.descriptor)
        scan.take(readings, for: attributes)
        return scan.inventory(
            kernel: kernelRelease(), commandLine: commandLine(), interrupts: interruptRemapping(sys))
    }

    public func awaitChange() async throws(LoopError) {
        guard let uevents else { return try await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max)) }
        try await uevents.nextRelevantChange()
    }

    private func openSysfs() throws(HostError) -> Directory {
        // A container without /sys often has the empty folder.
        if let sys = try? Directory(path: joined("sys")), (try? Directory("devices", below: sys)) != nil { return sys }
        let names: [String]
        do throws(SystemError) { names = try Directory(path: root).names() } catch {
            throw .unreadableRoot(path: root, errno: error.errno)
        }
        // People give the folder above, or sys itself.
        let below = names.first { (try? Directory(path: joined("\($0)/sys/devices"))) != nil }
        let isSysfsItself = names.contains("devices") && names.contains("bus")
        throw .noSysfs(path: root, hint: below.map(joined) ?? (isSysfsItself ? joined("..") : nil))
    }

    func kernelRelease() -> KernelRelease? {
        guard var release = releaseByName() else { return nil }
        if !release.countsOwnership {
            // The kernel's symbols do not change while it runs, and there are some 200,000 of them.
            let hasSymbol = ownershipSymbol ?? hasKernelSymbol("iommu_device_use_default_domain")
            ownershipSymbol = hasSymbol
            release.countsOwnership = hasSymbol
        }
        return release
    }

    /// Whether /proc/kallsyms lists a symbol; false where it cannot be read.
    private func hasKernelSymbol(_ name: String) -> Bool {
        guard let proc = try? Directory(path: joined("proc")),
            let bytes = try? proc.readAll("kallsyms", limit: 64 << 20)
        else { return false }
        return bytes.split(separator: 0x0a).contains { line in
            line.split(separator: 0x20).dropFirst(2).first?.prefix { $0 != 0x09 }.elementsEqual(name.utf8) ?? false
        }
    }

    private func releaseByName() -> KernelRelease? {
        guard let proc = try? Directory(path: joined("proc")) else { return nil }
        if let text = try? proc.text("sys/kernel/osrelease"), let release = KernelRelease(text) { return release }
        // "Linux version 6.12.95+deb12-amd64 (...) ..."
        guard let words = try? proc.text("version").split(separator: " ", maxSplits: 3), words.count > 2 else {
            return nil
        }
        return KernelRelease(words[2])
    }

    private func interruptRemapping(_ sys: borrowing Directory) -> InterruptRemapping? {
        if interrupts == nil, let proc = try? Directory(path: joined("proc")) {
            interrupts = (try? proc.readAll("interrupts")).flatMap { InterruptRemapping(interrupts: $0) }
        }
        func allows(_ module: String) -> Bool? {
            (try? sys.text("module/\(module)/parameters/allow_unsafe_interrupts")).map { $0 == "Y" }
        }
        guard var found = interrupts else { return nil }
        (found.type1Allows, found.iommufdAllows) = (allows("vfio_iommu_type1"), allows("iommufd"))
        return found
    }

    private func commandLine() -> KernelCommandLine? {
        guard let proc = try? Directory(path: joined("proc")), let text = try? proc.text("cmdline") else { return nil }
        return KernelCommandLine(reading: text)
    }

    /// A path below the root.
    nonisolated func joined(_ name: String) -> String { Self.joined(root, name) }

    private nonisolated static func joined(_ root: String, _ name: String) -> String {
        root.hasSuffix("/") ? root + name : "\(root)/\(name)"
    }

    /// The folder of a device on its bus, below the root.
    nonisolated func folder(of device: DeviceAddress) -> String {
        joined("sys/bus/\(device.bus)/devices/\(device.name)")
    }

    nonisolated func requireWritable() throws(HostError) {
        if !isWritable { throw .notLive(name: name) }
    }
}

extension SysfsScan {
    /// Puts the values of the locked attributes where they belong.
    mutating func take(_ readings: [LockedReading], for attributes: [LockedAttribute]) {
        for (attribute, reading) in zip(attributes, readings) {
            let position = attribute.position
            let value = reading.driverOverride
            // Most have none, and writing one makes a new copy of the device.
            if value != devices[position].driverOverride { devices[position].driverOverride = value }
            if reading == .late {
                warn(
                    "its driver_override could not be read: the device is busy in the kernel",
                    device: devices[position].address)
            }
        }
    }
}
