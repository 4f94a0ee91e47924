public import EventLoop
public import JSON

/// One call of a method, as its handler sees it.
public struct Call<Method: VarlinkMethod>: Sendable {
    public let parameters: Method.Parameters
    @usableFromInline let connection: Connection
    @usableFromInline let ticket: Connection.Ticket
    @usableFromInline let mode: CallMessage.Mode

    @LoopActor
    @inlinable
    init(_ message: CallMessage, on connection: Connection) throws(ErrorReply) {
        do {
            parameters = try Method.Parameters(reading: .object(message.parameters), .call)
        } catch {
            throw .invalidParameter(error.path)
        }
        self.connection = connection
        ticket = connection.ticket
        mode = message.mode
    }

    /// The caller asked for as many replies as there are.
    public var wantsMore: Bool { mode == .more }

    /// The caller gets no reply, whatever happens.
    public var isOneway: Bool { mode == .oneway }

    /// Who calls.
    public var peer: Peer { connection.peer }

    /// The same, with what the kernel still tells of them.
    public var caller: Caller { Caller(connection) }

    /// For methods that have more than one reply to give: throws ExpectedMore at a caller that did not ask for them.
    public func requireMore() throws(ErrorReply) {
        guard wantsMore else { throw .expectedMore }
    }

    /// Sends one of several replies; the last is the one that the handler returns.
    ///
    /// Suspends while the client is slower than the handler, and now and then to let others have their turn.
    /// - Throws: `clientGone` when nobody listens any more, ExpectedMore when the call did not ask for more.
    @LoopActor public func send(_ reply: Method.Reply) async throws(ErrorReply) {
        try await send(Answer(reply))
    }

    /// Sends one of several replies, encoded already.
    @LoopActor public func send(_ answer: Answer<Method>) async throws(ErrorReply) {
        if isOneway { return }
        try requireMore()
        try await connection.send(ticket, answer.write)
    }

    /// Adds a descriptor to the reply that is sent next, and takes over its ownership: it is closed once it is sent,
    /// or will not be.
    ///
    /// - Returns: its index, which the reply's parameters refer to it by.
    /// - Throws: `clientGone` when the call is over; a reply carries 253 at most.
    @LoopActor public func attach(_ descriptor: consuming Descriptor) throws(ErrorReply) -> Int {
        try connection.attach(ticket, descriptor)
    }

    /// Has `call` called once when the client is gone before its last reply was handed to the kernel. For handlers that
    /// must undo what nobody has heard of: being cancelled, they learn of it too, but only where they wait.
    @LoopActor public func onClientGone(_ call: @escaping @LoopActor () -> Void) {
        connection.onClientGone(ticket, call)
    }

    /// Has `call` called when the connection that the call came by is over, however long after the call that is.
    @LoopActor public func onConnectionOver(_ call: @escaping @LoopActor () -> Void) { connection.onOver(call) }
}

/// A reply's parameters, as a value or as bytes that were encoded earlier.
public struct Answer<Method: VarlinkMethod>: Sendable {
    @usableFromInline let write: @Sendable (inout JSONWriter) -> Void

    @inlinable
    public init(_ reply: Method.Reply) { write = { reply.write(to: &$0) } }

    /// `bytes` are one JSON object of the shape of `Method.Reply`.
    public init(encoded bytes: [UInt8]) { write = { $0.encoded(bytes) } }

    /// `body` writes one JSON object of the shape of `Method.Reply`.
    @inlinable
    public init(writing body: @escaping @Sendable (inout JSONWriter) -> Void) { write = body }
}
