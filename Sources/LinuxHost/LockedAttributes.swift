// Reading attributes that wait for the device lock. While the kernel unbinds a device (which may take for ever) such a
// read sits in D state (seen on 6.1; facts in Documentation/driver-api/driver-model/device.rst: driver_override is
// shown under device_lock). So a child reads them, and what does not come in time is unknown. However often an attribute
// is asked for while its lock is held, one child waits for it: a host that is stuck is not to fill with stuck processes.

import CLinux
import EventLoop
import Files
import Glibc
import Inventory
import PCI

/// The outcome of reading a locked attribute.
enum LockedReading: Equatable, Sendable {
    /// Its bytes.
    case bytes([UInt8])
    /// The read failed.
    case failed(errno: Int32)
    /// It did not come in time: the device is busy in the kernel.
    case late
}

/// Reads files below a folder in child processes. A child that gets stuck is killed, and left behind when that does not
/// help; the next child goes on with the file after the one it was stuck in. As long as one is left behind, no other is
/// sent after it.
@LoopActor
final class LockedAttributeReader {
    /// How long one attribute may take; up to twice that when it follows others.
    let deadline: Duration
    /// The children that were killed and have not ended: stuck in the kernel, each in the file that it was to read.
    private(set) var stuck: [FileIdentity: Int32] = [:]
    /// Kills a child that is late; what the kernel does not let go of lives on all the same.
    var kill: @LoopActor (Int32) -> Void = { _ = clinux_kill_worker($0) }
    /// Whether a child is at work. Two at once could get stuck in one file.
    private var isReading = false
    private let isFree = Condition()

    nonisolated init(deadline: Duration) { self.deadline = deadline }

    /// Reads the files, each a path relative to `directory`; the answers are in the same order.
    func read(_ paths: [String], below directory: Int32) async -> [LockedReading] {
        do throws(LoopError) { try await isFree.wait { !isReading } } catch { return paths.map { _ in .late } }
        isReading = true
        defer {
            isReading = false
            isFree.signal()
        }
        var readings: [LockedReading] = []
        while readings.count < paths.count {
            var rest = paths[readings.count...]
            forgetEnded()
            if !stuck.isEmpty {
                let free = rest.prefix { !isStuck($0, below: directory) }
                guard !free.isEmpty else {
                    readings.append(.late)
                    continue
                }
                rest = free
            }
            let end = rest.endIndex
            let worker: Worker
            do throws(SystemError) { worker = try Worker(rest, below: directory) } catch {
                readings += paths[readings.count...].map { _ in .failed(errno: error.errno) }
                return readings
            }
            let isLate = await wait(for: worker)
            worker.takeAnswers(into: &readings)
            let hasEnded = await worker.end(kill)
            guard readings.count < end else { continue }
            let file = FileIdentity(of: paths[readings.count], below: directory)
            if !hasEnded { if let file { stuck[file] = worker.pid } else { LeftBehind.children.append(worker.pid) } }
            readings.append(isLate ? .late : .failed(errno: EIO))
        }
        return readings
    }

    private func isStuck(_ path: String, below directory: Int32) -> Bool {
        FileIdentity(of: path, below: directory).map { stuck[$0] != nil } ?? false
    }

    private func forgetEnded() {
        stuck = stuck.filter { clinux_reap_worker($0.value) == 0 }
        LeftBehind.children.removeAll { clinux_reap_worker($0) != 0 }
    }

    /// Suspends until the worker has ended (false), or has answered nothing for the whole of a deadline (true).
    private func wait(for worker: Worker) async -> Bool {
        let pipe = worker.pipe
        var count = 0
        while true {
            let hasEnded = await EventLoop.main.withDeadline(.now + deadline) {
                do throws(LoopError) {
                    try await EventLoop.main.readable(pipe)
                    return true
                } catch { return false }
            }
            if hasEnded { return false }
            let answered = worker.answerCount
            if answered == count { return true }
            count = answered
        }
    }
}

/// A running child, what it answers, and the pipe that tells when it has ended.
@LoopActor
private final class Worker {
    let pid: Int32
    let pipe: Int32
    private let answers: OpaquePointer

    init(_ paths: ArraySlice<String>, below directory: Int32) throws(SystemError) {
        var block: [UInt8] = []
        block.reserveCapacity(paths.reduce(0) { $0 + $1.utf8.count + 1 })
        for path in paths {
            block.append(contentsOf: path.utf8)
            block.append(0)
        }
        guard let answers = clinux_make_answers(paths.count) else { throw SystemError(errno: ENOMEM) }
        self.answers = answers
        var end: Int32 = -1
        pid = block.withUnsafeBytes { block in
            clinux_start_attribute_reader(
                directory, block.assumingMemoryBound(to: CChar.self).baseAddress, block.count, answers, &end)
        }
        pipe = end
        guard pid > 0 else {
            clinux_free_answers(answers)
            throw SystemError(errno: -pid)
        }
    }

    /// How many files it has answered for.
    var answerCount: Int { clinux_answer_count(answers) }

    /// Adds all that it has answered.
    func takeAnswers(into readings: inout [LockedReading]) {
        var offset = 0
        for _ in 0..<answerCount {
            var bytes: UnsafeRawPointer?
            let result = clinux_answer_at(answers, &offset, &bytes)
            readings.append(
                result < 0
                    ? .failed(errno: -result)
                    : .bytes(Array(UnsafeRawBufferPointer(start: bytes, count: Int(result)))))
        }
    }

    /// Stops the child, whatever it is doing; false when that does not help, because the kernel does not let it go.
    func end(_ kill: @LoopActor (Int32) -> Void) async -> Bool {
        EventLoop.main.forget(pipe)
        close(pipe)
        kill(pid)
        clinux_free_answers(answers)
        // A process that can be killed takes a moment to die.
        for _ in 0..<20 {
            if clinux_reap_worker(pid) != 0 { return true }
            try? await EventLoop.main.sleep(for: .milliseconds(1))
        }
        return clinux_reap_worker(pid) != 0
    }
}

/// Children that were killed, had not ended, and read what is not there any more. They are reaped when they let go.
@LoopActor
private enum LeftBehind {
    static var children: [Int32] = []
}

/// A file, whatever path leads to it. Asking for it takes no lock of a device.
struct FileIdentity: Hashable, Sendable {
    private var device: UInt64
    private var number: UInt64

    /// nil where there is none.
    init?(of path: String, below directory: Int32) {
        var status = stat()
        guard fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }
}

extension LockedReading {
    /// The value of `driver_override`: the kernel writes `(null)` where none is set.
    var driverOverride: Reading<String> {
        switch self {
        case .late: return .unknown(.deviceBusy)
        case .failed(let errno): return SystemError(errno: errno).isVanished ? .absent : .unknown(.unreadable)
        case .bytes(let bytes):
            let text = String(decoding: bytes.prefix { $0 != 0x0a && $0 != 0 }, as: UTF8.self)
            return text.isEmpty || text == "(null)" ? .absent : .present(text)
        }
    }
}
