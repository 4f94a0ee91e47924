// Reading attributes that wait for the device lock. While the kernel unbinds a device (which may take for ever) such a
// read sits in D state (seen on 6.1; facts in Documentation/driver-api/driver-model/device.rst: driver_override is
// shown under device_lock). So a child reads them, and what does not come in time is unknown.

import CLinux
import EventLoop
import Glibc
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
    /// How long one attribute may take.
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
            let isStuck = await collect(from: worker, into: &readings, upTo: paths.count)
            worker.end()
            if readings.count < paths.count { readings.append(isStuck ? .late : .failed(errno: EIO)) }
        }
        return readings
    }

    /// Takes answers until all are there (false), the worker ended early (false) or one is late (true).
    @LoopActor private func collect(
        from worker: Worker, into readings: inout [LockedReading], upTo count: Int
    ) async -> Bool {
        var answers = AnswerStream()
        while true {
            while let answer = answers.next() { readings.append(answer) }
            if readings.count >= count { return false }
            switch answers.fill(from: worker.pipe) {
            case .more: continue
            case .end: return false
            case .nothingYet:
                let pipe = worker.pipe
                let arrived = await EventLoop.main.withDeadline(.now + deadline) {
                    do throws(LoopError) {
                        try await EventLoop.main.readable(pipe)
                        return true
                    } catch { return false }
                }
                // The answer may have come together with the deadline.
                if !arrived, answers.fill(from: worker.pipe) == .nothingYet { return true }
            }
        }
    }
}

/// A running child and the pipe it answers through.
@LoopActor
private final class Worker {
    let pid: Int32
    let pipe: Int32

    /// Children that were killed and had not ended yet: stuck in the kernel. They are reaped when they let go.
    private static var leftBehind: [Int32] = []

    init(_ paths: ArraySlice<String>, below directory: Int32) throws(SystemError) {
        Self.leftBehind.removeAll { clinux_reap_worker($0) != 0 }
        var block: [CChar] = []
        for path in paths { block += path.utf8.map { CChar(bitPattern: $0) } + [0] }
        var end: Int32 = -1
        pid = clinux_start_attribute_reader(directory, block, block.count, &end)
        pipe = end
        guard pid > 0 else { throw SystemError(errno: -pid) }
    }

    /// Stops the child, whatever it is doing.
    func end() {
        EventLoop.main.forget(pipe)
        close(pipe)
        _ = clinux_kill_worker(pid)
        if clinux_reap_worker(pid) == 0 { Self.leftBehind.append(pid) }
    }
}

/// The bytes of a pipe, cut into answers.
private struct AnswerStream {
    enum Progress: Equatable {
        case more, nothingYet, end
    }

    private var buffer: [UInt8] = []

    mutating func fill(from pipe: Int32) -> Progress {
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let n = Glibc.read(pipe, &chunk, chunk.count)
            if n > 0 {
                buffer += chunk[..<n]
                return .more
            }
            if n == 0 { return .end }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .nothingYet : .end
        }
    }

    mutating func next() -> LockedReading? {
        let headerSize = MemoryLayout<clinux_attribute_header>.size
        guard buffer.count >= headerSize else { return nil }
        let result = buffer.withUnsafeBytes { $0.loadUnaligned(as: clinux_attribute_header.self).result }
        let length = max(0, Int(result))
        guard buffer.count >= headerSize + length else { return nil }
        let answer: LockedReading =
            result < 0 ? .failed(errno: -result) : .bytes(Array(buffer[headerSize..<(headerSize + length)]))
        buffer.removeFirst(headerSize + length)
        return answer
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
