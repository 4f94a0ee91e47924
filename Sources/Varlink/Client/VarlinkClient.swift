import CLinux
public import EventLoop
import Glibc
import JSON

/// A connection to a Varlink service, for one call at a time.
@LoopActor
public final class VarlinkClient {
    private enum State: Equatable { case idle, calling, closed }

    private let descriptor: Int32
    private var state = State.idle
    private var input: ReplyReader

    /// How long a service whose backlog is full is tried again.
    private static let patience: Duration = .seconds(5)

    /// Connects to the socket at `path`; a leading `@` is the abstract name space.
    public static func connect(to path: String) async throws(ClientError) -> VarlinkClient {
        // C would end the path there, and connect to another.
        guard !path.utf8.contains(0) else { throw .cannotConnect(path: path, errno: EINVAL) }
        let number = clinux_unix_socket()
        guard number >= 0 else { throw .system(call: "socket", errno: -number) }
        let descriptor = Descriptor(owning: number)
        let deadline = MonotonicTime.now + patience
        while true {
            let result = clinux_unix_connect(number, path)
            if result == 0 { return VarlinkClient(adopting: descriptor) }
            // AF_UNIX reports a full backlog so, and offers nothing to wait for.
            guard result == -EAGAIN || result == -EINTR, MonotonicTime.now < deadline else {
                throw .cannotConnect(path: path, errno: -result)
            }
            do { try await EventLoop.main.sleep(for: .milliseconds(10)) } catch { throw ClientError(error) }
        }
    }

    /// Takes over a connected, non-blocking socket.
    public init(adopting descriptor: consuming Descriptor) {
        self.descriptor = descriptor.release()
        input = ReplyReader(self.descriptor)
    }

    isolated deinit { close() }

    /// Closes the connection: that is how a client says that it is no longer interested. Calls in progress fail.
    public func close() {
        guard state != .closed else { return }
        state = .closed
        EventLoop.main.forget(descriptor)
        Glibc.close(descriptor)
    }

    /// Suspends until the service closes the connection; returns at once during a call. What a service sends where
    /// nothing was asked is no Varlink, and ends the connection too.
    public func closed() async {
        guard state == .idle else { return }
        _ = try? await EventLoop.main.readable(descriptor)
        close()
    }

    /// Calls a method and waits for its reply.
    public func call<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws(ClientError) -> Method.Reply {
        try await begin(method, parameters, .single)
        return try await reply(to: method, receivesDescriptors: false).value
    }

    /// Calls a method whose reply brings descriptors.
    public func callReceivingDescriptors<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws(ClientError) -> (reply: Method.Reply, descriptors: ReceivedDescriptors) {
        try await begin(method, parameters, .single)
        let reply = try await reply(to: method, receivesDescriptors: true)
        return (reply.value, reply.descriptors)
    }

    /// Calls a method and asks for no reply, not even whether it exists.
    public func callOneway<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws(ClientError) {
        try await begin(method, parameters, .oneway)
        state = .idle
    }

    /// Calls a method and asks for all of its replies.
    ///
    /// Letting go of the stream before its end closes the connection.
    /// - Parameters:
    ///   - method: the method.
    ///   - parameters: its parameters.
    ///   - receivesDescriptors: some of the replies may bring descriptors.
    /// - Returns: the replies, in order.
    /// - Throws: why the call could not be sent.
    public func stream<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, receivesDescriptors: Bool = false
    ) async throws(ClientError) -> CallStream<Method> {
        try await begin(method, parameters, .more)
        return CallStream(self, receivesDescriptors: receivesDescriptors)
    }

    struct Reply<Value> {
        let value: Value
        let descriptors: ReceivedDescriptors
        let continues: Bool
    }

    /// Waits for the next reply to the call at hand.
    func reply<Method: VarlinkMethod>(
        to method: Method.Type, receivesDescriptors: Bool, mayContinue: Bool = false
    ) async throws(ClientError) -> Reply<Method.Reply> {
        do throws(ClientError) {
            guard state == .calling else { throw .closed }
            let (message, descriptors) = try await input.next(receivesDescriptors: receivesDescriptors)
            guard !message.continues || mayContinue else { throw .protocolViolation(.unexpectedContinues) }
            if !message.continues { state = .idle }
            if let name = message.error { throw .reply(name: name, parameters: message.parameters) }
            do throws(InvalidParameter) {
                let value = try Method.Reply(reading: .object(message.parameters), .reply)
                return Reply(value: value, descriptors: descriptors, continues: message.continues)
            } catch { throw .invalidReply(error) }
        } catch {
            // After anything but an error reply it is not known what comes next on this connection.
            if case .reply = error {} else { close() }
            throw error
        }
    }

    private func begin<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, _ mode: CallMessage.Mode
    ) async throws(ClientError) {
        guard state == .idle else { throw .unusable }
        state = .calling
        var writer = JSONWriter()
        CallMessage.write(method: Method.name, parameters: parameters, mode: mode, to: &writer)
        do throws(ClientError) {
            try await send(writer.bytes)
        } catch {
            close()
            throw error
        }
    }

    private func send(_ bytes: [UInt8]) async throws(ClientError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { clinux_send(descriptor, $0.baseAddress, $0.count) }
            switch count {
            case 0...: rest = rest.dropFirst(count)
            case Int(-EINTR): continue
            case Int(-EAGAIN):
                do { try await EventLoop.main.writable(descriptor) } catch { throw ClientError(error) }
            case Int(-EPIPE), Int(-ECONNRESET): throw .closed
            default: throw .system(call: "send", errno: Int32(-count))
            }
        }
    }
}
