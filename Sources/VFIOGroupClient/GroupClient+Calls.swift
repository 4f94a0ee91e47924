// How a call gets to the daemon and back: the loop's thread, a connection, and what errors become.

import EventLoop
import GroupAPI
import Varlink

extension GroupClient {
    /// Makes a short call in its turn, on a connection of its own.
    func shortCall<Reply: Sendable>(
        _ body: @escaping @Sendable @LoopActor (Connection) async throws -> Reply
    ) async throws -> Reply {
        try startLoop()
        return try await turns.take { try await body(try await connect()) }
    }

    /// Makes a call that may take long: it waits for nobody, and nobody waits for it.
    func longCall<Reply: Sendable>(
        _ body: @escaping @Sendable @LoopActor (Connection) async throws -> Reply
    ) async throws -> Reply {
        try startLoop()
        return try await begin(body)
    }

    /// Connects to the first socket where somebody listens.
    @LoopActor
    func connect() async throws -> Connection {
        try Task.checkCancellation()
        var attempts: [GroupClientError.Attempt] = []
        for socket in sockets {
            do throws(ClientError) {
                return Connection(client: try await VarlinkClient.connect(to: socket), socket: socket)
            } catch {
                guard case .cannotConnect(let path, let errno) = error else { throw explained(error, socket: socket) }
                attempts.append(.init(socket: path, errno: errno))
            }
        }
        throw GroupClientError.unreachable(attempts)
    }

    @LoopActor
    private func begin<Reply>(_ body: @LoopActor (Connection) async throws -> Reply) async throws -> Reply {
        try await body(try await connect())
    }

    /// Sees to it that the loop has a thread, which costs next to nothing when it has.
    func startLoop() throws(GroupClientError) {
        do throws(LoopError) { try EventLoop.main.runInBackground() } catch {
            guard case .system(let call, let errno) = error else { throw .system(call: "\(error)", errno: 0) }
            throw .system(call: call, errno: errno)
        }
    }
}

/// A connection to the daemon, closed when nobody holds it any more.
@LoopActor
struct Connection {
    let client: VarlinkClient
    let socket: String

    /// Calls a method that has one reply.
    func call<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws -> Method.Reply {
        do throws(ClientError) { return try await client.call(method, parameters) } catch {
            throw explained(error, socket: socket)
        }
    }

    /// Calls a method that has one reply, which brings descriptors.
    func callReceivingDescriptors<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws -> (reply: Method.Reply, descriptors: ReceivedDescriptors) {
        do throws(ClientError) { return try await client.callReceivingDescriptors(method, parameters) } catch {
            throw explained(error, socket: socket)
        }
    }

    /// Calls a list method: the whole list in one reply, and where the daemon finds that too long, one by one.
    func list<Method: VarlinkMethod, Element>(
        _ method: Method.Type, _ parameters: Method.Parameters, _ elements: (Method.Reply) -> [Element]
    ) async throws -> [Element] {
        do throws(ClientError) { return elements(try await client.call(method, parameters)) } catch {
            guard case .expectedMore? = error.failure(as: VarlinkService.Failure.self) else {
                throw explained(error, socket: socket)
            }
        }
        var all: [Element] = []
        try await each(of: method, parameters) { reply, _ in all += elements(reply) }
        return all
    }

    /// Calls a method that has several replies, and hands them on as they come.
    func each<Method: VarlinkMethod>(
        of method: Method.Type, _ parameters: Method.Parameters, receivesDescriptors: Bool = false,
        _ take: (Method.Reply, ReceivedDescriptors) throws -> Void
    ) async throws {
        let stream = try await stream(method, parameters, receivesDescriptors: receivesDescriptors)
        while let reply = try await next(of: stream) { try take(reply, stream.descriptors) }
    }

    /// Calls a method that has several replies.
    func stream<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, receivesDescriptors: Bool = false
    ) async throws -> CallStream<Method> {
        do throws(ClientError) {
            return try await client.stream(method, parameters, receivesDescriptors: receivesDescriptors)
        } catch { throw explained(error, socket: socket) }
    }

    /// Waits for the next of several replies; nil after the last.
    func next<Method: VarlinkMethod>(of stream: CallStream<Method>) async throws -> Method.Reply? {
        do throws(ClientError) { return try await stream.next() } catch { throw explained(error, socket: socket) }
    }
}

/// What a caller gets for an error of the protocol's client: `CancellationError` or a `GroupClientError`.
func explained(_ error: ClientError, socket: String) -> any Error {
    switch error {
    case .cancelled: return CancellationError()
    case .cannotConnect(let path, let errno):
        return GroupClientError.unreachable([.init(socket: path, errno: errno)])
    case .closed, .protocolViolation(.truncatedMessage), .unusable:
        return GroupClientError.lost(socket: socket, reason: "\(error)")
    case .protocolViolation, .invalidReply: return GroupClientError.unreadable(socket: socket, reason: "\(error)")
    case .system(let call, let errno): return GroupClientError.system(call: call, errno: errno)
    case .reply(let name, let parameters):
        if let failure: Claims.Failure = error.failure() { return GroupClientError.claims(failure) }
        if let failure: Groups.Failure = error.failure() { return GroupClientError.groups(failure) }
        return GroupClientError.other(name: name, parameters: parameters)
    }
}
