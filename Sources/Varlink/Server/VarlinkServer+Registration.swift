import EventLoop
import JSON

/// Registering what a service answers, and finding it again.
extension VarlinkServer {
    /// What answers a method: writes the parameters of the reply, or throws the error.
    @usableFromInline
    enum Handler {
        @usableFromInline
        typealias Immediate = @LoopActor (CallMessage, Connection) throws(ErrorReply) -> Connection.Body
        @usableFromInline
        typealias Suspending = @LoopActor (CallMessage, Connection) async throws(ErrorReply) -> Connection.Body

        case immediate(Immediate)
        case suspending(Suspending)
    }

    /// What answers instead of a handler that is not ready.
    @usableFromInline
    struct Preparation {
        var isReady: @LoopActor () -> Bool
        var handler: Handler.Suspending

        @usableFromInline
        init(isReady: @escaping @LoopActor () -> Bool, handler: @escaping Handler.Suspending) {
            self.isReady = isReady
            self.handler = handler
        }
    }

    /// Adds an interface. Its methods reply MethodNotImplemented until they are handled.
    public func add(_ interface: VarlinkInterface) { interfaces[interface.name] = interface }

    /// Has `handler` answer a method. The task it runs in is cancelled when the client is gone.
    @inlinable
    public func handle<Method: VarlinkMethod>(
        _ method: Method.Type,
        _ handler: @escaping @LoopActor (Call<Method>) async throws(ErrorReply) -> Method.Reply
    ) {
        methods[Method.name] = .suspending { (message, connection) async throws(ErrorReply) in
            let reply = try await handler(try Call(message, on: connection))
            return { reply.write(to: &$0) }
        }
    }

    /// The same for a handler that writes its last reply itself, as one that is too long to be made of values first.
    @inlinable
    public func handleWriting<Method: VarlinkMethod>(
        _ method: Method.Type,
        _ handler: @escaping @LoopActor (Call<Method>) async throws(ErrorReply) -> Answer<Method>
    ) {
        methods[Method.name] = .suspending { (message, connection) async throws(ErrorReply) in
            try await handler(try Call(message, on: connection)).write
        }
    }

    /// Has `handler` answer a method at once, without ever suspending: the quick way, for what is encoded already. It
    /// cannot attach descriptors, for these may have to wait for their turn.
    @inlinable
    public func answer<Method: VarlinkMethod>(
        _ method: Method.Type,
        _ handler: @escaping @LoopActor (Call<Method>) throws(ErrorReply) -> Answer<Method>
    ) {
        methods[Method.name] = .immediate { (message, connection) throws(ErrorReply) in
            try handler(try Call(message, on: connection)).write
        }
    }

    /// The same for a handler that now and then has to be prepared: it answers at once while `isReady`, and otherwise when
    /// `prepare` has returned, whatever that came to.
    @inlinable
    public func answer<Method: VarlinkMethod>(
        _ method: Method.Type, when isReady: @escaping @LoopActor () -> Bool,
        after prepare: @escaping @LoopActor () async -> Void,
        _ handler: @escaping @LoopActor (Call<Method>) throws(ErrorReply) -> Answer<Method>
    ) {
        answer(method, handler)
        preparations[Method.name] = Preparation(isReady: isReady) { (message, connection) async throws(ErrorReply) in
            await prepare()
            return try handler(try Call(message, on: connection)).write
        }
    }

    func handler(of name: String) throws(ErrorReply) -> Handler {
        if let preparation = preparations[name], !preparation.isReady() { return .suspending(preparation.handler) }
        if let handler = methods[name] { return handler }
        let dot = name.lastIndex(of: ".") ?? name.startIndex
        let interface = String(name[..<dot])
        guard let known = interfaces[interface] else {
            throw ErrorReply(VarlinkService.Failure.interfaceNotFound(interface: interface.clipped()))
        }
        guard known.methods.contains(String(name[dot...].dropFirst())) else {
            throw ErrorReply(VarlinkService.Failure.methodNotFound(method: name.clipped()))
        }
        throw ErrorReply(VarlinkService.Failure.methodNotImplemented(method: name))
    }

    /// org.varlink.service, which every service has.
    func addServiceInterface() {
        add(VarlinkService.interface)
        answer(VarlinkService.GetInfo.self) { [unowned self] _ in
            Answer(
                .init(
                    vendor: identity.vendor, product: identity.product, version: identity.version, url: identity.url,
                    interfaces: interfaces.keys.sorted()))
        }
        answer(VarlinkService.GetInterfaceDescription.self) { [unowned self] (call) throws(ErrorReply) in
            guard let interface = interfaces[call.parameters.interface] else {
                throw ErrorReply(
                    VarlinkService.Failure.interfaceNotFound(interface: call.parameters.interface.clipped()))
            }
            return Answer(.init(description: interface.description))
        }
    }
}
