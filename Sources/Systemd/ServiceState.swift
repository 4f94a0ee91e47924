// What the daemon tells the service manager about itself, and the text of it, sd_notify(3).

/// One assignment of a notification.
public enum ServiceState: Sendable, Equatable {
    /// Start-up is over, or a reload is.
    case ready
    /// One line for `systemctl status`. Line breaks become spaces, and what is beyond 1 KiB is cut.
    case status(String)
    /// Shutdown has begun.
    case stopping
    /// What made the daemon fail, an errno.
    case errno(Int32)
    /// The configuration is read anew, until the next `ready`; the moment, in microseconds of CLOCK_MONOTONIC.
    case reloading(microseconds: UInt64)
    /// The daemon is not stuck.
    case watchdog
    /// The start or the end at hand may take so much longer from now on.
    case extendTimeout(Duration)

    /// The text of several assignments, in their order.
    static func text(of states: [ServiceState]) -> String {
        states.map(\.assignment).joined(separator: "\n")
    }

    /// What it is about, where only the latest of its kind matters.
    var subject: String? {
        switch self {
        case .status, .watchdog, .extendTimeout: assignment.split(separator: "=").first.map(String.init)
        case .ready, .stopping, .errno, .reloading: nil
        }
    }

    private var assignment: String {
        switch self {
        case .ready: "READY=1"
        case .status(let line): "STATUS=\(oneLine(line))"
        case .stopping: "STOPPING=1"
        case .errno(let code): "ERRNO=\(code)"
        case .reloading(let microseconds): "RELOADING=1\nMONOTONIC_USEC=\(microseconds)"
        case .watchdog: "WATCHDOG=1"
        case .extendTimeout(let duration): "EXTEND_TIMEOUT_USEC=\(Int64(duration / .microseconds(1)))"
        }
    }
}

/// A text that stays within its assignment: behind a line break PID 1 would read what follows as the next one, and a
/// status may hold words of a client.
private func oneLine(_ text: String) -> Substring {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
        .beginning(bytes: longestStatus)
}

/// PID 1 ignores a whole datagram of more than PIPE_BUF bytes (manager_dispatch_notify_fd), with a READY=1 in it too.
private let longestStatus = 1024
