// Which node a card of NVIDIA's has. Its nodes are not in sysfs; the driver says "Device Minor: 0" in
// /proc/driver/nvidia/gpus/ADDRESS/information. Reading that wakes a card that sleeps, and waits for the driver's
// locks, which an unbind that never returns holds (NVIDIA/open-gpu-kernel-modules#1374). So a child reads it, once for
// each time that the driver is bound.

import EventLoop
import Files
import Glibc
import PCI

/// The minors of cards, as they were first read.
@LoopActor
final class NVIDIAMinors {
    /// What is known of a card's node.
    enum Minor: Equatable, Sendable {
        case known(UInt32)
        /// Why not, in words.
        case unknown(reason: String)
    }

    private let reader: LockedAttributeReader
    /// The kernel makes the link `driver` anew with each bind, with a number that it gives to nothing else for long.
    private var known: [FileIdentity: UInt32] = [:]

    nonisolated init(deadline: Duration) { reader = LockedAttributeReader(deadline: deadline) }

    /// The minor of the card at `address`, whose folder of sysfs is `folder`.
    ///
    /// - Parameters:
    ///   - address: the card, which the driver nvidia has.
    ///   - folder: its folder below /sys.
    ///   - root: the root of the host, with `/` at its end.
    /// - Returns: the minor; unknown if it cannot be read, or does not come in time.
    func minor(of address: PCIAddress, at folder: [String], below root: String) async -> Minor {
        let path = "/proc/driver/nvidia/gpus/\(address)/information"
        guard let sysfs = try? Directory(path: root + "sys/" + folder.joined(separator: "/")),
            let bind = FileIdentity(of: "driver", below: sysfs.descriptor)
        else { return .unknown(reason: "the driver of \(address) cannot be read from /sys") }
        if let minor = known[bind] { return .known(minor) }
        let proc: Directory
        do throws(SystemError) { proc = try Directory(path: root + "proc") } catch {
            return .unknown(reason: "/proc cannot be opened: \(errorText(error.errno))")
        }
        switch await reader.read([String(path.dropFirst("/proc/".count))], below: proc.descriptor).first {
        case .bytes(let bytes):
            guard let minor = Self.minor(in: String(decoding: bytes, as: UTF8.self)) else {
                return .unknown(reason: "\(path) does not tell its node")
            }
            // Cards that are bound again and again leave nothing behind.
            if known.count > 256 { known.removeAll() }
            known[bind] = minor
            return .known(minor)
        case .failed(let errno): return .unknown(reason: "\(path) cannot be read: \(errorText(errno))")
        case .late, nil: return .unknown(reason: "\(path) was not read in time: NVIDIA's driver is busy")
        }
    }

    /// "Device Minor: \t 0"
    nonisolated static func minor(in information: String) -> UInt32? {
        let name = "Device Minor:"
        guard let line = information.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        return decimal(String(line.dropFirst(name.count).filter { $0 != " " && $0 != "\t" }))
            .flatMap { UInt32(exactly: $0) }
    }
}
