import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Makes a claim of a group that is on vfio drivers already.
struct AdoptCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt", abstract: "Make a claim of an orphaned group, one that is on vfio drivers already.",
        discussion: """
            What its devices were before is not known: when the claim is released, the kernel chooses their drivers. The \
            claim stays until vfiogroupctl release.
            """)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: ArgumentHelp("The group: its identity, or one of its devices.", valueName: "group"))
    var group: String

    @Option(help: "What to call the claim; it can then be named so.")
    var name: String?

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(
            Claims.Adopt.self, .init(group: try await connection.groupIdentity(group), name: name, lifetime: .manual))
        if common.json { return printJSON(reply) }
        printLine(try decode(reply, as: Claims.Adopt.Reply.self).claim.text)
    }
}
