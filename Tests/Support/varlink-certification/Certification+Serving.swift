import EventLoop
import JSON
import Varlink

// What the conformance test expects: each call in its turn, with the very values that were replied before.
extension Certification {
    /// Which call each client has to make next.
    @LoopActor
    final class Progress {
        private var next: [String: String] = [:]
        private var last = 0

        func begin() -> String {
            last += 1
            let client = "client-\(last)"
            next[client] = Test01.name
            return client
        }

        /// Takes `Method`'s turn; `following` comes after it.
        func take<Method: VarlinkMethod>(
            _ method: Method.Type, of client: String, isRight: Bool, then following: String?, got: Method.Parameters
        ) throws(ErrorReply) {
            guard let turn = next[client] else { throw ErrorReply(Failure.clientIdError) }
            guard turn == Method.name, isRight else {
                next[client] = nil
                throw ErrorReply(
                    Failure.certificationError(
                        wants: ["method": .string(turn)],
                        got: ["method": .string(Method.name), "parameters": got.asJSON]))
            }
            next[client] = following
        }
    }

    static let map = ["foo": "Foo", "bar": "Bar"]
    static let set = ["one": EmptyStructure(), "two": EmptyStructure(), "three": EmptyStructure()]
    static let float = 3.141592653589793
    static let text = "a lot of string"
    static let replies = (1...10).map { "Reply number \($0)" }
    static let myType = MyType(
        object: ["method": "org.varlink.certification.Test09", "parameters": ["map": ["foo": "Foo", "bar": "Bar"]]],
        enum: .two, struct: .init(first: 1, second: "2"), array: ["one", "two", "three"], dictionary: map,
        stringset: set,
        interface: Interface(
            foo: [nil, ["foo": .foo, "bar": .bar], nil, ["one": .foo, "two": .bar]],
            anon: .init(foo: true, bar: false)))

    @LoopActor
    static func serve(on server: VarlinkServer) {
        let progress = Progress()
        server.add(interface)
        server.handle(Start.self) { _ in .init(clientId: progress.begin()) }
        serveScalars(on: server, progress)
        serveContainers(on: server, progress)
        serveModes(on: server, progress)
    }

    @LoopActor
    private static func serveScalars(on server: VarlinkServer, _ progress: Progress) {
        server.handle(Test01.self) { (call) throws(ErrorReply) in
            try progress.take(
                Test01.self, of: call.parameters.clientId, isRight: true, then: Test02.name, got: call.parameters)
            return .init(bool: true)
        }
        server.handle(Test02.self) { (call) throws(ErrorReply) in
            try progress.take(
                Test02.self, of: call.parameters.clientId, isRight: call.parameters.bool, then: Test03.name,
                got: call.parameters)
            return .init(int: 1)
        }
        server.handle(Test03.self) { (call) throws(ErrorReply) in
            try progress.take(
                Test03.self, of: call.parameters.clientId, isRight: call.parameters.int == 1, then: Test04.name,
                got: call.parameters)
            return .init(float: 1.0)
        }
        server.handle(Test04.self) { (call) throws(ErrorReply) in
            try progress.take(
                Test04.self, of: call.parameters.clientId, isRight: call.parameters.float == 1.0, then: Test05.name,
                got: call.parameters)
            return .init(string: "ping")
        }
        server.handle(Test05.self) { (call) throws(ErrorReply) in
            try progress.take(
                Test05.self, of: call.parameters.clientId, isRight: call.parameters.string == "ping",
                then: Test06.name, got: call.parameters)
            return .init(bool: false, int: 2, float: float, string: text)
        }
    }

    @LoopActor
    private static func serveContainers(on server: VarlinkServer, _ progress: Progress) {
        server.handle(Test06.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            let right = !got.bool && got.int == 2 && got.float == float && got.string == text
            try progress.take(Test06.self, of: got.clientId, isRight: right, then: Test07.name, got: got)
            return .init(struct: .init(bool: false, int: 2, float: float, string: text))
        }
        server.handle(Test07.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            let right = got.struct == .init(bool: false, int: 2, float: float, string: text)
            try progress.take(Test07.self, of: got.clientId, isRight: right, then: Test08.name, got: got)
            return .init(map: map)
        }
        server.handle(Test08.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            try progress.take(Test08.self, of: got.clientId, isRight: got.map == map, then: Test09.name, got: got)
            return .init(set: set)
        }
        server.handle(Test09.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            try progress.take(Test09.self, of: got.clientId, isRight: got.set == set, then: Test10.name, got: got)
            return .init(mytype: myType)
        }
    }

    @LoopActor
    private static func serveModes(on server: VarlinkServer, _ progress: Progress) {
        server.handle(Test10.self) { (call) async throws(ErrorReply) in
            try call.requireMore()
            let got = call.parameters
            try progress.take(Test10.self, of: got.clientId, isRight: got.mytype == myType, then: Test11.name, got: got)
            for reply in replies.dropLast() { try await call.send(.init(string: reply)) }
            return .init(string: replies[replies.count - 1])
        }
        server.handle(Test11.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            let right = call.isOneway && got.lastMoreReplies == replies
            try progress.take(Test11.self, of: got.clientId, isRight: right, then: End.name, got: got)
            return .init()
        }
        server.handle(End.self) { (call) throws(ErrorReply) in
            let got = call.parameters
            try progress.take(End.self, of: got.clientId, isRight: true, then: nil, got: got)
            return .init(allOk: true)
        }
    }
}

extension VarlinkValue {
    /// The value as a tree, for an error to show.
    fileprivate var asJSON: JSONValue {
        var writer = JSONWriter()
        write(to: &writer)
        return (try? JSONValue(parsing: writer.buffer)) ?? .null
    }
}
