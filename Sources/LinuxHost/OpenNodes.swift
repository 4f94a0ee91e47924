// Who has a device node open: descriptors of all processes, told by the device number of what they lead to.

import EventLoop
import Files
import Glibc
import Host
import Inventory
import PCI

/// A device number, as the kernel tells nodes apart.
struct NodeNumber: Hashable, Sendable {
    var isBlock: Bool
    var major: UInt32
    var minor: UInt32

    init(isBlock: Bool, major: UInt32, minor: UInt32) {
        self.isBlock = isBlock
        self.major = major
        self.minor = minor
    }

    /// The text of an attribute `dev`, "MAJOR:MINOR".
    init?(_ text: some StringProtocol, isBlock: Bool = false) {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let major = unsignedInteger(parts[0], radix: 10),
            let minor = unsignedInteger(parts[1], radix: 10), let major = UInt32(exactly: major),
            let minor = UInt32(exactly: minor)
        else { return nil }
        self.init(isBlock: isBlock, major: major, minor: minor)
    }

    /// What a node leads to; nil for what is no device.
    init?(_ status: stat) {
        let type = status.st_mode & S_IFMT
        guard type == S_IFCHR || type == S_IFBLK else { return nil }
        let number = UInt64(status.st_rdev)
        // gnu_dev_major(3): the major number's upper bits lie above the minor's.
        self.init(
            isBlock: type == S_IFBLK,
            major: UInt32(truncatingIfNeeded: (number >> 8 & 0xfff) | (number >> 32 & ~0xfff)),
            minor: UInt32(truncatingIfNeeded: (number & 0xff) | (number >> 12 & ~0xff)))
    }
}

/// The nodes that processes have open.
struct OpenNodes: Equatable, Sendable {
    /// A process and what it has open.
    struct Holder: Equatable, Sendable {
        var process: ProcessIdentity
        var command: String
        var nodes: Set<NodeNumber>
        /// The devices whose descriptors it has from their groups, as paths below /sys (`vfio-device-syspath` in
        /// fdinfo, since Linux 6.18); such a descriptor has no device number.
        var vfioDevices: Set<[String]>
    }

    var holders: [Holder] = []
    /// A process that may not be looked into, or not at all of its files (of a security module, or for want of a
    /// capability): it may have anything open.
    struct Unseen: Equatable, Sendable {
        var pid: Int32
        var command: String
        var errno: Int32
    }

    var unseen: [Unseen] = []

    /// The processes that may not be looked into, in words; nil where there are none.
    var unseenText: String? {
        guard let first = unseen.first else { return nil }
        let others = unseen.count > 1 ? ", nor of \(unseen.count - 1) more" : ""
        return
            "what process \(first.pid) (\(first.command)) has open cannot be seen\(others): \(errorText(first.errno))"
    }

    init() {}

    /// Looks at all processes but this one and its workers for nodes of `numbers`. A process that ends meanwhile is left
    /// out; one that may not be looked into is `unseen`.
    ///
    /// - Throws: `.system` when /proc cannot be listed, or descriptors or memory lack: who was not seen then may be there.
    @LoopActor
    init(of numbers: Set<NodeNumber>, below root: String) async throws(HostError) {
        let proc = root.hasSuffix("/") ? root + "proc" : root + "/proc"
        let own = getpid()
        var looks = 0
        let names: [String]
        do throws(SystemError) { names = try Directory(path: proc).names() } catch {
            throw .system(call: "list \(proc)", errno: error.errno)
        }
        for name in names {
            guard let pid = decimal(name).flatMap({ Int32(exactly: $0) }), pid != own,
                !LinuxWorker.running.contains(pid)
            else { continue }
            if let holder = try await Self.look(at: pid, numbers, proc, &looks, &unseen) { holders.append(holder) }
        }
    }

    /// Whether a process has one of the nodes open.
    ///
    /// - Throws: `.system` when descriptors or memory lack to find out.
    @LoopActor
    static func has(_ numbers: Set<NodeNumber>, in pid: Int32, below root: String) async throws(HostError) -> Bool {
        var looks = 0
        var unseen: [Unseen] = []
        let proc = root.hasSuffix("/") ? root + "proc" : root + "/proc"
        return try await look(at: pid, numbers, proc, &looks, &unseen)?.nodes.isEmpty == false
    }

    @LoopActor
    private static func look(
        at pid: Int32, _ numbers: Set<NodeNumber>, _ proc: String, _ looks: inout Int, _ unseen: inout [Unseen]
    ) async throws(HostError) -> Holder? {
        do throws(SystemError) { return try await holder(pid, numbers, proc, &looks, &unseen) } catch {
            if !error.isShortage {
                if error.leavesUnknown { note(pid, error, proc, &unseen) }
                return nil
            }
            throw .system(call: "look at the files of process \(pid)", errno: error.errno)
        }
    }

    private static func note(_ pid: Int32, _ error: SystemError, _ proc: String, _ unseen: inout [Unseen]) {
        let command = (try? Directory(path: "\(proc)/\(pid)").text("comm")) ?? "?"
        if unseen.last?.pid != pid { unseen.append(Unseen(pid: pid, command: command, errno: error.errno)) }
    }

    @LoopActor
    private static func holder(
        _ pid: Int32, _ numbers: Set<NodeNumber>, _ proc: String, _ looks: inout Int, _ unseen: inout [Unseen]
    ) async throws(SystemError) -> Holder? {
        // A host has many processes, and one of them may have many files; clients wait meanwhile.
        looks += 10
        let folder = try Directory(path: "\(proc)/\(pid)")
        let files = try Directory("fd", below: folder)
        var nodes: Set<NodeNumber> = []
        var devices: Set<[String]> = []
        for file in try files.names() {
            looks += 1
            if looks >= 500 {
                looks = 0
                await EventLoop.main.yield()
            }
            let target: String
            do throws(SystemError) { target = try files.link(file) } catch {
                if error.isShortage { throw error }
                // It has ended, or closed the file.
                if error.leavesUnknown { note(pid, error, proc, &unseen) }
                continue
            }
            if target == "anon_inode:[vfio-device]" {
                if let path = try vfioDevice(file, folder) { devices.insert(path) }
                continue
            }
            // Asking a file of a network that is gone would not return: only what may be a node of ours is asked.
            guard target.hasPrefix("/dev/") || target.split(separator: "/").contains("vfio") else { continue }
            var status = stat()
            guard fstatat(files.descriptor, file, &status, 0) == 0, let number = NodeNumber(status),
                numbers.contains(number)
            else { continue }
            nodes.insert(number)
        }
        guard !nodes.isEmpty || !devices.isEmpty, let process = try ProcessIdentity.now(of: pid, below: proc) else {
            return nil
        }
        return Holder(
            process: process, command: (try? folder.text("comm")) ?? "", nodes: nodes, vfioDevices: devices)
    }

    private static func vfioDevice(
        _ file: String, _ process: borrowing Directory
    ) throws(SystemError) -> [String]? {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try process.readAll("fdinfo/\(file)", limit: 1 << 16) } catch {
            if error.isShortage { throw error }
            return nil
        }
        for line in bytes.split(separator: 0x0a) {
            let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard words.count == 2, words[0].elementsEqual("vfio-device-syspath:".utf8) else { continue }
            return SysfsPath(target: String(decoding: words[1], as: UTF8.self), from: [])?.components
        }
        return nil
    }
}
