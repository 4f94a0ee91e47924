// Reading attributes that wait for the device lock. While the kernel unbinds a device (which may take for ever) such a
// read sits in D state (seen on 6.1; facts in Documentation/driver-api/driver-model/device.rst: driver_override is
// shown under device_lock). So a child reads them, and what does not come in time is unknown.

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
/// help; the next child goes on with the file after the one it was stuck in.
struct LockedAttributeReader: Sendable {
    /// How long one attribute may take; up to twice that when it follows others.
    let deadline: Duration

    /// Reads the files, each a path relative to `directory`; the answers are in the same order.
    @LoopActor func read(_ paths: [String], below directory: Int32) async -> [LockedReading] {
        var readings: [LockedReading] = []
        while readings.count < paths.count {
            let rest = paths[readings.count...]
            let worker: Worker
            do throws(SystemError) { worker = try Worker(rest, below: directory) } catch {
                readings += rest.map { _ in .failed(errno: error.errno) }
                return readings
            }
            let isStuck = await wait(for: worker)
            worker.takeAnswers(into: &readings)
            worker.end()
            if readings.count < paths.count { readings.append(isStuck ? .late : .failed(errno: EIO)) }
        }
        return readings
    }

    /// Suspends until the worker has ended (false), or has answered nothing for the whole of a deadline (true).
    @LoopActor private func wait(for worker: Worker) async -> Bool {
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

    /// Children that were killed and had not ended yet: stuck in the kernel. They are reaped when they let go.
    private static var leftBehind: [Int32] = []

    init(_ paths: ArraySlice<String>, below directory: Int32) throws(SystemError) {
        Self.leftBehind.removeAll { clinux_reap_worker($0) != 0 }
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

    /// Stops the child, whatever it is doing.
    func end() {
        EventLoop.main.forget(pipe)
        close(pipe)
        _ = clinux_kill_worker(pid)
        if clinux_reap_worker(pid) == 0 { Self.leftBehind.append(pid) }
        clinux_free_answers(answers)
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
