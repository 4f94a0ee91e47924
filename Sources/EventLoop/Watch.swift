/// What is known of one descriptor: what epoll reports of it, and who waits.
struct Watch {
    enum Direction { case reading, writing }

    /// How a wait ended.
    enum Wake {
        case ready, cancelled, forgotten
        case refused(LoopError)

        func check() throws(LoopError) {
            switch self {
            case .ready: return
            case .cancelled: throw .cancelled
            case .forgotten: throw .forgotten
            case .refused(let error): throw error
            }
        }
    }

    struct Waiting {
        let ticket: UInt64
        // A bare continuation and no `Waiter`, and unsafe rather than checked: one wait a request is the hot path. Every
        // one is taken out of its watch before it is resumed, so none is resumed twice; `forget` and cancellation resume
        // those that nothing else would.
        let continuation: UnsafeContinuation<Wake, Never>
    }

    /// Tells events of a closed descriptor from those of a later one with the same number.
    var generation: UInt32 = 0
    var registered = false
    /// The events epoll reports; hang-up and error it reports always.
    var interest: UInt32 = 0
    var reader: Waiting?
    var writer: Waiting?
    var onHangUp: Reactor.Call?
    /// Called before a waiting reader is woken; true when there is nothing left to wake it for.
    var onInput: (@LoopActor () -> Bool)?

    subscript(direction: Direction) -> Waiting? {
        get { direction == .reading ? reader : writer }
        set { if direction == .reading { reader = newValue } else { writer = newValue } }
    }
}
