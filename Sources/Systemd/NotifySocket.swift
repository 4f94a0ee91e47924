// The way to the service manager. sd_notify(3) sends on a blocking socket: while the manager is busy and its queue is
// full (net.unix.max_dgram_qlen), whoever tells it something waits with it. The same datagrams are sent here as soon as
// there is room for them, and wait in a queue of the daemon's own until then.

import CLinux
import EventLoop
import Glibc

/// A connection to the service manager that keeps the order in which it was told things.
@LoopActor
final class NotifySocket {
    private struct Message {
        let number: UInt64
        var text: String
        /// What replaces a message of the same subject that has not been sent.
        let subject: String?
        /// A copy, owned.
        let descriptor: Int32?
    }

    private let address: String
    private var socket: Int32 = -1
    private var queue: [Message] = []
    private var lastNumber: UInt64 = 0
    private var pump: Task<Void, Never>?
    private var waiters: [UInt64: Waiter<Result<Void, SystemdError>>] = [:]

    /// A connection to the socket of this name, as NOTIFY_SOCKET gives it; it is made with the first message.
    nonisolated init(address: String) { self.address = address }

    isolated deinit { disconnect() }

    /// Sends a message, at once if there is room.
    /// - Parameters:
    ///   - text: the message, lines of `NAME=value`.
    ///   - subject: what the message is about, if only the latest of its subject matters.
    /// - Throws: why the manager cannot be reached.
    func post(_ text: String, subject: String? = nil) throws(SystemdError) {
        if let subject, let index = queue.firstIndex(where: { $0.subject == subject }) {
            queue[index].text = text
            return
        }
        guard queue.isEmpty else { return enqueue(text, subject, nil) }
        switch send(text, nil) {
        case 0: break
        case EAGAIN: enqueue(text, subject, nil)
        case let error: throw .notNotified(errno: error)
        }
    }

    /// Sends a message that carries a descriptor, which stays the caller's, and suspends until it is sent.
    /// - Throws: `.notNotified`, with ETIMEDOUT when there was no room until `deadline`.
    func send(_ text: String, with descriptor: Int32, until deadline: MonotonicTime) async throws(SystemdError) {
        if queue.isEmpty {
            switch send(text, descriptor) {
            case 0: return
            case EAGAIN: break
            case let error: throw .notNotified(errno: error)
            }
        }
        let copy = clinux_duplicate(descriptor)
        guard copy >= 0 else { throw .notNotified(errno: -copy) }
        enqueue(text, nil, copy)
        let number = lastNumber
        let waiter = Waiter<Result<Void, SystemdError>>()
        waiters[number] = waiter
        EventLoop.main.schedule(at: deadline) { [weak self] in self?.giveUp(number) }
        try await waiter.waitIgnoringCancellation().get()
    }

    private func enqueue(_ text: String, _ subject: String?, _ descriptor: Int32?) {
        lastNumber += 1
        queue.append(Message(number: lastNumber, text: text, subject: subject, descriptor: descriptor))
        guard pump == nil else { return }
        pump = EventLoop.main.spawn { [weak self] in
            while let self, !queue.isEmpty {
                do throws(LoopError) { try await EventLoop.main.writable(socket) } catch { break }
                sendQueued()
            }
            self?.pump = nil
        }
    }

    private func sendQueued() {
        while let message = queue.first {
            let error = send(message.text, message.descriptor)
            if error == EAGAIN { return }
            queue.removeFirst()
            finish(message, error == 0 ? .success(()) : .failure(.notNotified(errno: error)))
        }
    }

    /// A message that nobody waits for any longer is not sent either: what it was for has failed.
    private func giveUp(_ number: UInt64) {
        guard waiters[number] != nil, let index = queue.firstIndex(where: { $0.number == number }) else { return }
        finish(queue.remove(at: index), .failure(.notNotified(errno: ETIMEDOUT)))
    }

    private func finish(_ message: Message, _ result: Result<Void, SystemdError>) {
        if let descriptor = message.descriptor { close(descriptor) }
        waiters.removeValue(forKey: message.number)?.resume(returning: result)
    }

    /// Sends now; 0, or an errno.
    private func send(_ text: String, _ descriptor: Int32?) -> Int32 {
        // The manager may have been started anew, with another socket of the same name.
        for isSecond in [false, true] {
            let error = connect()
            guard error == 0 else { return error }
            var text = text
            let sent = text.withUTF8 { bytes in
                withUnsafePointer(to: descriptor ?? -1) {
                    clinux_send_descriptors(socket, bytes.baseAddress, bytes.count, $0, descriptor == nil ? 0 : 1)
                }
            }
            if sent >= 0 { return 0 }
            guard !isSecond, [ECONNREFUSED, ENOTCONN, ECONNRESET, EPIPE].contains(Int32(-sent)) else {
                return Int32(-sent)
            }
            disconnect()
        }
        return EIO
    }

    private func connect() -> Int32 {
        guard socket < 0 else { return 0 }
        let made = clinux_unix_datagram_socket()
        guard made >= 0 else { return -made }
        let error = -clinux_unix_connect(made, address)
        guard error == 0 else {
            close(made)
            return error
        }
        socket = made
        return 0
    }

    private func disconnect() {
        guard socket >= 0 else { return }
        EventLoop.main.forget(socket)
        close(socket)
        socket = -1
    }
}
