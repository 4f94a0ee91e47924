import EventLoop
import Glibc
public import JSON

/// Why a call brought no reply, or not the one hoped for.
public enum ClientError: Error, Equatable, Sendable {
    /// Nobody listens at `path`, or not for us.
    case cannotConnect(path: String, errno: Int32)
    /// The service replied with an error.
    case reply(name: String, parameters: JSONObject)
    /// The service closed the connection before it had replied.
    case closed
    /// The service sent what is no Varlink.
    case protocolViolation(CloseReason)
    /// The reply lacks a field, or has one of the wrong type.
    case invalidReply(InvalidParameter)
    /// Another call on this connection has not ended, or one that failed has left it unusable.
    case unusable
    case system(call: String, errno: Int32)
    /// The task was cancelled; the connection is closed, for a reply may still be under way.
    case cancelled

    /// The error of an interface that the service replied with; nil when it was another, or something else went wrong.
    public func failure<Failure: VarlinkFailure>(as type: Failure.Type = Failure.self) -> Failure? {
        guard case .reply(let name, let parameters) = self else { return nil }
        return try? Failure(name: name, parameters: parameters)
    }

    init(_ error: LoopError) {
        switch error {
        case .cancelled, .timedOut: self = .cancelled
        case .forgotten: self = .closed
        case .alreadyWaiting, .alreadyRunning: self = .unusable
        case .system(let call, let errno): self = .system(call: call, errno: errno)
        }
    }
}

extension ClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cannotConnect(let path, let errno): "cannot connect to \(path): \(String(cString: strerror(errno)))"
        case .reply(let name, let parameters):
            parameters.isEmpty ? name : "\(name) \(JSONValue.object(parameters))"
        case .closed: "the service closed the connection"
        case .protocolViolation(let reason): "the service does not speak Varlink: \(reason)"
        case .invalidReply(let fault): "the reply's \(fault.path.isEmpty ? "parameters" : fault.path) cannot be read"
        case .unusable: "the connection is in use, or was left unusable by a call that failed"
        case .system(let call, let errno): "\(call): \(String(cString: strerror(errno)))"
        case .cancelled: "cancelled"
        }
    }
}
