import ArgumentParser
import EventLoop
import GroupAPI
import JSON
import Varlink

/// Prints every change as it happens.
struct MonitorCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitor", abstract: "Print every change as it happens, until interrupted.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        let stream = try await connection.stream(Groups.Monitor.self, .init())
        while let reply = try await stream.next() {
            if common.json {
                printJSON(reply)
                continue
            }
            printLine(try decode(reply, as: Event.self).text)
        }
    }
}

/// A reply of Monitor, of whatever kind: a daemon may know more kinds than this client.
struct Event: VarlinkValue {
    var generation: Int
    var kind: String
    var group: String?
    var claim: String?
    var member: Groups.DeviceAddress?
    var cause: String?

    init(reading value: JSONValue, _ mode: ReadingMode) throws(InvalidParameter) {
        var fields = try FieldReader(value, mode)
        generation = try fields.required("generation")
        kind = try fields.required("kind")
        group = try fields.optional("group")
        claim = try fields.optional("claim")
        member = try fields.optional("member")
        cause = try fields.optional("cause")
        try fields.finish()
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("generation", generation)
            writer.field("kind", kind)
            writer.field("group", group)
            writer.field("claim", claim)
            writer.field("member", member)
            writer.field("cause", cause)
        }
    }

    /// One line.
    var text: String {
        [
            "\(generation)", kind, group, member?.text, claim.map { "claim \($0)" }, cause.map { "(\($0))" },
        ].compactMap { $0 }.joined(separator: "  ").printable
    }
}
