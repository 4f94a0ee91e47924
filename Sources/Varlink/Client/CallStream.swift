public import EventLoop

/// The replies to a call that asked for more than one, as they come.
@LoopActor
public final class CallStream<Method: VarlinkMethod> {
    private let client: VarlinkClient
    private let receivesDescriptors: Bool
    private var ended = false

    /// The descriptors that came with the reply that was last returned.
    public private(set) var descriptors = ReceivedDescriptors([])

    init(_ client: VarlinkClient, receivesDescriptors: Bool) {
        self.client = client
        self.receivesDescriptors = receivesDescriptors
    }

    isolated deinit { if !ended { client.close() } }

    /// Waits for the next reply; nil after the last one.
    public func next() async throws(ClientError) -> Method.Reply? {
        guard !ended else { return nil }
        do {
            let reply = try await client.reply(
                to: Method.self, receivesDescriptors: receivesDescriptors, mayContinue: true)
            ended = !reply.continues
            descriptors = reply.descriptors
            return reply.value
        } catch {
            ended = true
            throw error
        }
    }
}

extension CallStream: AsyncSequence {
    public struct Iterator: AsyncIteratorProtocol {
        let stream: CallStream<Method>

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(ClientError) -> Method.Reply? {
            try await stream.next()
        }

        public mutating func next() async throws(ClientError) -> Method.Reply? { try await stream.next() }
    }

    public nonisolated func makeAsyncIterator() -> Iterator { Iterator(stream: self) }
}
