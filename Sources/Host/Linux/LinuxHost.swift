// A host as the kernel shows it below a root folder: the live one at `/`, or a captured tree anywhere.

import EventLoop
import Glibc
import PCI

/// Reads `ROOT/sys` and `ROOT/proc`.
@LoopActor
public final class LinuxHost: ReadOnlyHost {
    /// The root folder.
    public nonisolated let root: String
    public nonisolated var name: String { isLive ? "this host" : root }

    /// Whether it is the running kernel's own tree, whose changes are announced.
    private nonisolated var isLive: Bool { root == "/" }
    private var remembered: [PCIAddress: SysfsScan.Remembered] = [:]
    private var uevents: UeventSocket?
    private let lockedAttributes: LockedAttributeReader

    /// A host below `root`, an absolute or relative path. An attribute that waits for the device lock is given
    /// `patience` to come; sysfs answers in microseconds unless the lock is held.
    public nonisolated init(root: String, patience: Duration = .milliseconds(500)) {
        self.root = root
        lockedAttributes = LockedAttributeReader(deadline: patience)
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
        return scan.inventory(kernel: kernelRelease(), commandLine: commandLine())
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

    private func kernelRelease() -> KernelRelease? {
        guard let proc = try? Directory(path: joined("proc")) else { return nil }
        if let text = try? proc.text("sys/kernel/osrelease"), let release = KernelRelease(text) { return release }
        // "Linux version 6.12.95+deb12-amd64 (...) ..."
        guard let words = try? proc.text("version").split(separator: " ", maxSplits: 3), words.count > 2 else {
            return nil
        }
        return KernelRelease(words[2])
    }

    private func commandLine() -> KernelCommandLine? {
        guard let proc = try? Directory(path: joined("proc")), let text = try? proc.text("cmdline") else { return nil }
        return KernelCommandLine(reading: text)
    }

    private func joined(_ name: String) -> String { root.hasSuffix("/") ? root + name : "\(root)/\(name)" }
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
