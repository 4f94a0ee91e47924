import JSON

/// What a method's handler throws: the error that the caller gets.
public struct ErrorReply: Error, Sendable, Equatable {
    enum Content: Sendable, Equatable {
        /// `parameters` are one object, encoded.
        case error(name: String, parameters: [UInt8])
        /// There is nobody left to reply to.
        case clientGone
    }

    let content: Content

    /// The error `failure` of an interface.
    public init(_ failure: some VarlinkFailure) {
        var writer = JSONWriter()
        failure.writeParameters(to: &writer)
        content = .error(name: failure.name, parameters: writer.bytes)
    }

    private init(_ content: Content) { self.content = content }

    /// The client has closed the connection, or the server is closing it: the handler should undo and end.
    public static let clientGone = ErrorReply(.clientGone)

    /// The name of the error; nil for `clientGone`.
    public var name: String? {
        if case .error(let name, _) = content { name } else { nil }
    }

    /// Its parameters as one JSON object, for a log; empty for `clientGone`.
    public var parametersText: String {
        if case .error(_, let parameters) = content { String(decoding: parameters, as: UTF8.self) } else { "" }
    }

    /// The caller is not allowed to do this.
    public static var permissionDenied: ErrorReply { ErrorReply(VarlinkService.Failure.permissionDenied) }

    /// The method has more than one reply to give, and was called without `more`.
    public static var expectedMore: ErrorReply { ErrorReply(VarlinkService.Failure.expectedMore) }

    /// A parameter has the right type and yet makes no sense.
    public static func invalidParameter(_ path: String) -> ErrorReply {
        ErrorReply(VarlinkService.Failure.invalidParameter(parameter: path.clipped()))
    }
}
