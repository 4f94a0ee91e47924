// Reaching the daemon and calling it. Every reply is taken as JSON first, so that --json prints what came.

import ArgumentParser
import EventLoop
import Glibc
import GroupAPI
import JSON
import Varlink

/// Why a command could not do what it should: a sentence for stderr, and the exit code 1.
struct Complaint: Error, CustomStringConvertible {
    var description: String
}

/// A method whose reply is not decoded.
enum Raw<Method: VarlinkMethod>: VarlinkMethod {
    typealias Parameters = Method.Parameters
    typealias Reply = JSONObject
    static var name: String { Method.name }
}

/// A connection to the daemon.
@LoopActor
struct Connection {
    private let client: VarlinkClient
    let socket: String

    /// Connects to the given socket, or to the first of the usual places where a daemon listens.
    init(_ options: CommonOptions) async throws(Complaint) {
        let paths = options.socket.map { [$0] } ?? SocketPath.candidates
        var failures: [String] = []
        for path in paths {
            do throws(ClientError) {
                client = try await VarlinkClient.connect(to: path)
                socket = path
                return
            } catch { failures.append("\(error)") }
        }
        throw Complaint(
            description: "no vfiogroupd can be reached: \(failures.joined(separator: "; ")). "
                + "Start the service (systemctl start vfiogroupd.socket) or a simulation "
                + "(vfiogroupd --simulate demo), or give its socket with --socket")
    }

    /// Calls a method that has one reply.
    func call<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws(ClientError) -> JSONObject {
        try await client.call(Raw<Method>.self, parameters)
    }

    /// Calls a list method: the whole list in one reply, and where the daemon finds that too long, one by one.
    func list<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, _ field: String
    ) async throws(ClientError) -> JSONObject {
        do throws(ClientError) { return try await call(method, parameters) } catch {
            guard case .reply("org.varlink.service.ExpectedMore", _) = error else { throw error }
        }
        var elements: [JSONValue] = []
        let stream = try await client.stream(Raw<Method>.self, parameters)
        while let reply = try await stream.next() {
            if case .array(let some)? = reply[field] { elements += some }
        }
        return JSONObject([(field, .array(elements))])
    }

    /// Calls a method that replies more than once; descriptors that nobody asked for are dropped by the kernel.
    func stream<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, receivesDescriptors: Bool = false
    ) async throws(ClientError) -> CallStream<Raw<Method>> {
        try await client.stream(Raw<Method>.self, parameters, receivesDescriptors: receivesDescriptors)
    }

    /// Suspends until the daemon closes the connection.
    func closed() async { await client.closed() }
}

/// Decodes a reply's parameters.
func decode<Value: VarlinkValue>(_ object: JSONObject, as type: Value.Type = Value.self) throws(Complaint) -> Value {
    do throws(InvalidParameter) { return try Value(reading: .object(object), .reply) } catch {
        throw Complaint(description: "the daemon's reply cannot be read (\(error.path)); is it of another version?")
    }
}

/// A subcommand that talks to the daemon.
protocol DaemonCommand: ParsableCommand {
    var parent: Command { get }
    /// The options behind the subcommand's name.
    var own: CommonOptions { get }

    /// Does what the command is for.
    @LoopActor func run(on connection: Connection) async throws
}

extension DaemonCommand {
    /// The options, wherever they stood.
    var common: CommonOptions { own.orElse(parent.common) }

    /// All devices; nil when their JSON was asked for, and is printed.
    @LoopActor func devices(on connection: Connection) async throws -> [Groups.Device]? {
        let reply = try await connection.list(Groups.ListDevices.self, .init(), "devices")
        if common.json {
            printJSON(reply)
            return nil
        }
        return try decode(reply, as: Groups.ListDevices.Reply.self).devices
    }

    func run() throws {
        let command = Unchecked(value: self)
        let code = try EventLoop.main.run {
            do {
                try await command.value.run(on: try await Connection(command.value.common))
                return 0
            } catch let code as ExitCode {
                return code.rawValue
            } catch let error as ClientError {
                complain(explain(error))
            } catch {
                complain("\(error)")
            }
            return 1
        }
        guard code == 0 else { throw ExitCode(code) }
    }
}

/// Carries a parsed command to the loop, which runs on the very thread that parsed it: ArgumentParser's property
/// wrappers are not Sendable, and nobody else holds the command.
private struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
}

func complain(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
