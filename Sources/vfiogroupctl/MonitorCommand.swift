import ArgumentParser
import EventLoop
import GroupAPI
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
            let event: Groups.Monitor.Reply = try decode(reply)
            let parts = [
                "\(event.generation)", event.kind.rawValue, event.group, event.member?.text,
                event.claim.map { "claim \($0)" }, event.cause.map { "(\($0))" },
            ]
            printLine(parts.compactMap { $0 }.joined(separator: "  "))
        }
    }
}
