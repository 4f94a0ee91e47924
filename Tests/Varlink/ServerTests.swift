import EventLoop
import Glibc
import JSON
import Testing
import Varlink

@Suite("The server", .timeLimit(.minutes(15)))
struct ServerTests {
    private static let everything = """
        {"flag":true,"number":-1,"ratio":0.5,"text":"é","anything":{"a":[null]},"level":"half_lit","names":["a"],\
        "sizes":{"x":1,"y":2},"nested":{"first_part":1},"list":[{"id":7}]}
        """

    @Test("Introspection tells who serves and what")
    func introspection() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        #expect(
            try client.call(getInfo) == """
                {"parameters":{"vendor":"Test","product":"Tests","version":"1","url":"https://x.org",\
                "interfaces":["org.example.test","org.varlink.service"]}}
                """)
        for interface in [Example.interface, VarlinkService.interface] {
            let reply = try client.call(
                #"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"\#(interface.name)"}}"#
            )
            let text = try JSONValue(parsing: reply ?? "")["parameters"]?["description"]
            #expect(text == .string(interface.description))
        }
        await server.stop()
    }

    @Test("Values of all types go in and come out unchanged")
    func echo() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let reply = try client.call(call("Echo", "{\"everything\":\(Self.everything)}"))
        #expect(reply == "{\"parameters\":{\"everything\":\(Self.everything)}}")
        await server.stop()
    }

    @Test(
        "What is missing, ill-typed or not declared is named by its path",
        arguments: [
            (#"{}"#, "everything"), (#"{"everything":null}"#, "everything"), (#"{"everything":1}"#, "everything"),
            ("FLAG:1", "everything.flag"), ("FLAG:null", "everything.flag"), ("NUMBER:1.5", "everything.number"),
            ("NUMBER:\"1\"", "everything.number"), ("RATIO:\"x\"", "everything.ratio"), ("TEXT:1", "everything.text"),
            ("RATIO:1e309", "everything.ratio"), ("ANYTHING:[]", "everything.anything"),
            ("ANYTHING:{\"q\":{\"b\":1,\"b\":2}}", "everything.anything.b"), ("LEVEL:\"dim\"", "everything.level"),
            ("LEVEL:1", "everything.level"), ("NAMES:[\"a\",1]", "everything.names[1]"),
            ("NAMES:{}", "everything.names"), ("SIZES:{\"x\":\"y\"}", "everything.sizes[x]"),
            ("SIZES:{\"x\":1,\"x\":2}", "everything.sizes[x]"), ("NESTED:{}", "everything.nested.first_part"),
            ("NESTED:{\"first_part\":1,\"odd\":2}", "everything.nested.odd"),
            ("LIST:[{\"id\":1},{\"id\":null}]", "everything.list[1].id"), ("MAYBE:true", "everything.maybe"),
            ("MAYBE_LIST:[\"dark\",\"x\"]", "everything.maybe_list[1]"), ("ODD:1", "everything.odd"),
        ])
    func invalid(_ change: String, _ path: String) async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        var parameters = change
        if let colon = change.firstIndex(of: ":"), !change.hasPrefix("{") {
            let key = change[..<colon].lowercased()
            guard case .object(var object) = try JSONValue(parsing: Self.everything) else { return }
            object.members.removeAll { $0.key == key }
            object.members.append(.init(key: key, value: try JSONValue(parsing: String(change[colon...].dropFirst()))))
            parameters = "{\"everything\":\(JSONValue.object(object))}"
        }
        let reply = try client.call(call("Echo", parameters))
        #expect(
            reply == "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"\(path)\"}}")
        await server.stop()
    }

    @Test("Every method survives parameters that are missing, null, empty, wrong or not its own")
    func everyMethod() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let names = Example.interface.methods.map { "org.example.test.\($0)" }
        let service = VarlinkService.interface.methods.map { "org.varlink.service.\($0)" }
        for name in names + service {
            for parameters in ["", #","parameters":null"#, #","parameters":{}"#, #","parameters":{"odd":1}"#] {
                for flag in ["", #","more":true"#, #","upgrade":true"#] {
                    #expect(try client.call("{\"method\":\"\(name)\"\(parameters)\(flag)}") != nil)
                }
            }
        }
        await server.stop()
    }

    @Test("Parameters absent, null and empty are the same, and empty replies are omitted")
    func emptyParameters() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        for parameters in [nil, "null", "{}"] {
            #expect(
                try client.call(call("Cached", parameters)) == "{\"parameters\":{\"text\":\"\(Example.cachedText)\"}}")
        }
        #expect(try client.call(call("Wait", #"{"milliseconds":0}"#)) == "{}")
        await server.stop()
    }

    @Test("What is not there is named by its kind")
    func notFound() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        for (method, error, key, value) in [
            ("org.example.test.Nope", "MethodNotFound", "method", "org.example.test.Nope"),
            ("org.example.test.", "MethodNotFound", "method", "org.example.test."),
            ("org.example.none.Echo", "InterfaceNotFound", "interface", "org.example.none"),
            ("Echo", "InterfaceNotFound", "interface", ""), ("", "InterfaceNotFound", "interface", ""),
            (".", "InterfaceNotFound", "interface", ""),
            ("org.example.test.Unimplemented", "MethodNotImplemented", "method", "org.example.test.Unimplemented"),
        ] {
            let reply = try client.call("{\"method\":\"\(method)\"}")
            #expect(reply == "{\"error\":\"org.varlink.service.\(error)\",\"parameters\":{\"\(key)\":\"\(value)\"}}")
        }
        await server.stop()
    }

    @Test("Calls oneway never produce a byte, not even an error")
    func oneway() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        for method in ["Cached", "Wait", "Fail", "Count", "Descriptors", "Nope", "Unimplemented", "Echo"] {
            client.send(call(method, nil, #""oneway":true"#))
            client.send(call(method, #"{"count":3,"limit":5,"reason":"x","milliseconds":1}"#, #""oneway":true"#))
        }
        client.send(
            call("Descriptors", #"{"count":3}"#, #""oneway":true"#),
            call("Wait", #"{"milliseconds":1}"#, #""oneway":true"#))
        #expect(try client.call(call("Fill", #"{"bytes":1}"#)) == #"{"parameters":{"text":"x"}}"#)
        await server.stop()
    }

    @Test("A stream's replies continue until the last, and later calls wait for it")
    func stream() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        client.send(call("Count", #"{"limit":3}"#, #""more":true"#), call("Fill", #"{"bytes":1}"#))
        #expect(try client.receive() == #"{"parameters":{"number":0},"continues":true}"#)
        #expect(try client.receive() == #"{"parameters":{"number":1},"continues":true}"#)
        #expect(try client.receive() == #"{"parameters":{"number":2}}"#)
        #expect(try client.receive() == #"{"parameters":{"text":"x"}}"#)
        #expect(try client.call(call("Count", #"{"limit":3}"#)) == #"{"error":"org.varlink.service.ExpectedMore"}"#)
        #expect(try client.call(call("Cached", nil, #""more":true"#))?.contains("continues") == false)
        await server.stop()
    }

    @Test("An upgrade is refused with an error, for a reply would confirm it")
    func upgrade() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let reply = try client.call(call("Cached", nil, #""upgrade":true"#))
        #expect(reply?.contains(#""error":"org.varlink.service.MethodNotImplemented""#) == true)
        #expect(try client.call(getInfo) != nil)
        await server.stop()
    }

    @Test("An error carries its parameters, without those that are nil")
    func failure() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        #expect(
            try client.call(call("Fail", #"{"reason":"so","code":4}"#, #""more":true"#))
                == #"{"error":"org.example.test.Failed","parameters":{"reason":"so","code":4}}"#)
        #expect(
            try client.call(call("Fail", #"{"reason":"so"}"#))
                == #"{"error":"org.example.test.Failed","parameters":{"reason":"so"}}"#)
        await server.stop()
    }

    @Test("Replies come in the order of the calls, however they are cut into pieces")
    func order() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        let calls: [UInt8] = (0..<200).flatMap { (bytes: Int) -> [UInt8] in
            Array(call("Fill", "{\"bytes\":\(bytes)}").utf8) + [0]
        }
        for byte in calls[..<500] { client.send([byte]) }
        client.send(Array(calls[500...]))
        for bytes in 0..<200 { #expect(try client.receive()?.utf8.count == 26 + bytes) }
        await server.stop()
    }

    @Test("White space and vendor's members are accepted")
    func tolerance() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        #expect(
            try client.call(" \n{ \"method\" : \"org.varlink.service.GetInfo\" ,\t\"org.x\" : { \"a\" : 1 } } \r\n")
                != nil)
        await server.stop()
    }

    @Test("The peer is known by its process and user")
    func peer() async throws {
        let server = try await TestServer.start()
        let seen = Shared<Peer?>(nil)
        let pid = Shared<Int32?>(nil)
        await server.observePeers(seen, pid)
        #expect(try server.connect().call(call("Unimplemented")) != nil)
        #expect(seen.value == Peer(pid: getpid(), uid: getuid(), gid: getgid()))
        #expect(pid.value == getpid())
        await server.stop()
    }

    @Test("Stopping lets the call at hand be answered, begins no other, and removes the socket")
    func graceful() async throws {
        let server = try await TestServer.start()
        let busy = try server.connect()
        let idle = try server.connect()
        #expect(try idle.call(getInfo) != nil)
        busy.send(call("Wait", #"{"milliseconds":\#(Example.untilStopped)}"#), getInfo)
        #expect(eventually { server.log.value.handled == 1 })
        await server.stop(within: .seconds(5))
        #expect(try busy.receive() == "{}")
        #expect(try busy.isClosedWithoutReply())
        #expect(try idle.isClosedWithoutReply())
        #expect(access(server.path, F_OK) != 0)
        #expect(await server.server.connectionCount == 0)
    }

    @Test("What does not end by itself is cut off when the grace is over")
    func ungraceful() async throws {
        let server = try await TestServer.start()
        let client = try server.connect()
        client.send(call("Wait", #"{"milliseconds":3600000}"#))
        let deaf = try server.connect()
        deaf.send(call("Fill", #"{"bytes":5000000}"#))
        #expect(eventually { server.log.value.handled == 1 })
        await server.stop(within: .milliseconds(50))
        #expect(try client.isClosedWithoutReply())
        #expect(server.log.value.clientsGone == 1)
    }

    @Test("A socket that a predecessor left is replaced, a file is not; the mode is as given")
    func path() async throws {
        let server = try await TestServer.start()
        var status = stat()
        #expect(stat(server.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o666)
        let file = "/tmp/varlink-test-\(getpid()).file"
        close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
        defer { unlink(file) }
        await #expect(throws: ListenError.system(call: "bind", path: file, errno: EADDRINUSE)) {
            try await server.server.listen(path: file)
        }
        try await server.server.listen(path: server.path, mode: 0o600)
        #expect(stat(server.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try server.connect().call(getInfo) != nil)
        await server.stop()
    }
}

extension TestServer {
    /// Has the method that nothing handles tell who calls it.
    @LoopActor
    func observePeers(_ seen: Shared<Peer?>, _ pid: Shared<Int32?>) {
        server.handle(Example.Unimplemented.self) { call in
            let peer = call.peer
            seen.update { $0 = peer }
            let read = call.caller.openProcess()?.reading { $0 }
            pid.update { $0 = read }
            return .init()
        }
    }
}
