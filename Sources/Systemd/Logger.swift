// Saying what happens: to the journal with fields where stderr leads there, else as lines on stderr. It never waits and
// never fails: what cannot be said is dropped.

import Glibc

/// Where and from which level on the daemon's messages go.
public struct Logger: Sendable {
    /// Where messages go.
    enum Sink: Sendable {
        case journal(JournalSocket)
        /// A stream that is no journal.
        case lines(descriptor: Int32)
    }

    private let sink: Sink
    private let identifier: String
    private let threshold: LogLevel

    /// A logger for the process's stderr: to the journal when that is where it leads, by JOURNAL_STREAM.
    /// - Parameters:
    ///   - identifier: the program's name in front of every message.
    ///   - threshold: what matters less is not said.
    public init(identifier: String = "vfiogroupd", threshold: LogLevel = .info) {
        let stream = getenv("JOURNAL_STREAM").map { String(cString: $0) }
        if JournalStream(stream)?.isOpen(as: STDERR_FILENO) == true, let journal = JournalSocket() {
            self.init(sink: .journal(journal), identifier: identifier, threshold: threshold)
        } else {
            self.init(sink: .lines(descriptor: STDERR_FILENO), identifier: identifier, threshold: threshold)
        }
    }

    init(sink: Sink, identifier: String = "vfiogroupd", threshold: LogLevel = .info) {
        self.sink = sink
        self.identifier = identifier
        self.threshold = threshold
    }

    /// Says something, now or never.
    /// - Parameters:
    ///   - level: how much it matters.
    ///   - message: what to say, complete without the fields, which only the journal keeps. It is not made when the
    ///     level is below the threshold.
    ///   - fields: journal fields such as `GROUP`; a name that journald would not take is left out.
    public func log(
        _ level: LogLevel, _ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]
    ) {
        guard level >= threshold else { return }
        say(LogEntry(level: level, message: message(), fields: fields, identifier: identifier))
    }

    /// Says something of a kind, at the level of that.
    public func log(_ message: JournalMessage) {
        guard message.kind.level >= threshold else { return }
        say(LogEntry(message, identifier: identifier))
    }

    /// Says something of no kind that is found by fields of kinds.
    public func log(_ level: LogLevel, _ text: String, _ fields: [JournalMessage.Field]) {
        guard level >= threshold else { return }
        say(
            LogEntry(
                level: level, message: text, fields: fields.map { ($0.name.rawValue, $0.value) },
                identifier: identifier))
    }

    private func say(_ entry: LogEntry) {
        switch sink {
        case .lines(let descriptor):
            writeWithoutWaiting(entry.line, to: descriptor)
        case .journal(let journal):
            // stderr leads to journald too: its stream takes what the datagram socket does not.
            guard journal.send(entry) == .unreachable else { return }
            writeWithoutWaiting(entry.journalStreamLine, to: STDERR_FILENO)
        }
    }

    /// `log` at level error.
    public func error(_ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]) {
        log(.error, message(), fields: fields)
    }

    /// `log` at level warning.
    public func warning(_ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]) {
        log(.warning, message(), fields: fields)
    }

    /// `log` at level notice.
    public func notice(_ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]) {
        log(.notice, message(), fields: fields)
    }

    /// `log` at level info.
    public func info(_ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]) {
        log(.info, message(), fields: fields)
    }

    /// `log` at level debug.
    public func debug(_ message: @autoclosure () -> String, fields: KeyValuePairs<String, String> = [:]) {
        log(.debug, message(), fields: fields)
    }
}

/// The stream that the service manager connected to the journal: JOURNAL_STREAM of systemd.exec(5), `device:inode`.
/// It is compared, not believed, since the variable is inherited by those whose stderr leads elsewhere.
struct JournalStream: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(_ text: String?) {
        guard let parts = text?.split(separator: ":", omittingEmptySubsequences: false), parts.count == 2,
            let device = UInt64(parts[0]), let inode = UInt64(parts[1])
        else { return nil }
        self.device = device
        self.inode = inode
    }

    func isOpen(as descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }
}

/// Writes at most PIPE_BUF bytes if that is possible at once. O_NONBLOCK would do too, but it belongs to the open file
/// and would change the terminal of the shell that started the daemon.
private func writeWithoutWaiting(_ bytes: [UInt8], to descriptor: Int32) {
    var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // POLLERR: the reader of a pipe is gone, and a write would end the daemon by SIGPIPE.
    guard poll(&state, 1, 0) == 1, state.revents == Int16(POLLOUT) else { return }
    _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}
