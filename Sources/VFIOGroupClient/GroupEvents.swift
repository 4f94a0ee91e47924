// The changes of groups and claims, as a sequence that ends when the caller or the daemon does.

import EventLoop
public import GroupAPI
import JSON
import Varlink

/// A change of a group, a device or a claim.
public struct GroupEvent: Equatable, Sendable {
    /// Counts the changes of the registry since the daemon started; events of one change have the same.
    public var generation: Int
    /// What happened; nil when the daemon is newer than this client and has a word for it that this client does not know.
    public var kind: Groups.EventKind?
    /// What happened, in the daemon's word.
    public var kindName: String
    /// The identity of the group that it is about.
    public var group: String?
    /// The identity of the claim that it is about.
    public var claim: String?
    /// The device that it is about.
    public var device: Groups.DeviceAddress?
    /// What is different, and why, in words.
    public var cause: String?
}

/// The changes of groups and claims, as they happen.
///
/// Each iteration is a call of its own, made at its first step. The first event is of the kind `ready`: whoever lists the
/// groups after it misses nothing. Of the kind `overflow` is one that stands for events that were dropped because they
/// were not taken in time; list anew then. Letting go of the iterator, or cancelling the task that waits for an event,
/// closes the call.
///
/// The sequence throws `CancellationError` when its task is cancelled and `GroupClientError` when the daemon is lost or
/// ends the call, and is over then.
public struct GroupEvents: AsyncSequence, Sendable {
    let client: GroupClient

    /// Begins to watch.
    ///
    /// - Returns: an iterator with a call of its own.
    public func makeAsyncIterator() -> Iterator { Iterator(call: MonitorCall(client)) }

    /// Takes the changes one by one.
    public struct Iterator: AsyncIteratorProtocol {
        let call: MonitorCall

        /// Waits for the next change.
        ///
        /// - Returns: the change; nil after the last.
        /// - Throws: `GroupClientError`, or `CancellationError`; nothing comes after either.
        public mutating func next() async throws -> GroupEvent? { try await call.next() }

        /// Waits for the next change.
        ///
        /// - Parameter actor: where the caller is.
        /// - Returns: the change; nil after the last.
        /// - Throws: `GroupClientError`, or `CancellationError`; nothing comes after either.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> GroupEvent? {
            try await call.next()
        }
    }
}

/// One call of Monitor, which is closed with this object.
@LoopActor
final class MonitorCall: Sendable {
    private enum State {
        case before
        case open(Connection, CallStream<LenientMonitor>)
        case over
    }

    private nonisolated let client: GroupClient
    private var state = State.before

    nonisolated init(_ client: GroupClient) { self.client = client }

    /// Waits for the next change, on whatever executor the caller is.
    nonisolated func next() async throws -> GroupEvent? {
        try client.startLoop()
        return try await take()
    }

    private func take() async throws -> GroupEvent? {
        do {
            let event = try await step()
            if event == nil { state = .over }
            return event
        } catch {
            state = .over
            throw error
        }
    }

    private func step() async throws -> GroupEvent? {
        if case .before = state {
            let connection = try await client.connect()
            state = .open(connection, try await connection.stream(LenientMonitor.self, .init()))
        }
        guard case .open(let connection, let stream) = state else { return nil }
        return try await connection.next(of: stream)?.event
    }
}

/// Monitor with replies that are read whatever kind they are of: a newer daemon may know more kinds.
enum LenientMonitor: VarlinkMethod {
    typealias Parameters = Groups.Monitor.Parameters
    static var name: String { Groups.Monitor.name }

    struct Reply: VarlinkValue {
        var event: GroupEvent

        init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
            var fields = try FieldReader(value, mode)
            let kindName: String = try fields.required("kind")
            event = GroupEvent(
                generation: try fields.required("generation"), kind: Groups.EventKind(rawValue: kindName),
                kindName: kindName, group: try fields.optional("group"), claim: try fields.optional("claim"),
                device: try fields.optional("member"), cause: try fields.optional("cause"))
            try fields.finish()
        }

        func write(to writer: inout JSONWriter) {
            writer.object { writer in
                writer.field("generation", event.generation)
                writer.field("kind", event.kindName)
                writer.field("group", event.group)
                writer.field("claim", event.claim)
                writer.field("member", event.device)
                writer.field("cause", event.cause)
            }
        }
    }
}
