import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Has the daemon read its configuration anew.
struct ReloadCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the daemon read its configuration anew; claims stay as they are.",
        discussion: "Ends with 1 and names every mistake when there is one; the configuration then stays what it was.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Flag(help: "Take reservations again that were released in this boot.")
    var reserveAgain = false

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(Manager.Reload.self, .init(reserveAgain: reserveAgain ? true : nil))
        if common.json { return printJSON(reply) }
        let outcome: Manager.Reload.Reply = try decode(reply)
        printLine(
            "the configuration is reloaded"
                + (outcome.files.isEmpty ? "" : ": " + outcome.files.joined(separator: ", ")))
        for sentence in outcome.nextStart + outcome.notes { printLine("note: \(sentence)") }
    }
}
