import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Lets a group be claimed again whose reset had failed.
struct UnquarantineCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "unquarantine", abstract: "Let a group be claimed again whose reset had failed.",
        discussion:
            "Its devices may hold what their last owner left in them: power the machine off and on, if in doubt.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: ArgumentHelp("The group: its identity, or one of its devices.", valueName: "group"))
    var group: String

    func run(on connection: Connection) async throws {
        let id = try await connection.groupIdentity(group)
        let reply = try await connection.call(Claims.Unquarantine.self, .init(group: id))
        if common.json { return printJSON(reply) }
        printLine("group \(id) can be claimed again")
    }
}
