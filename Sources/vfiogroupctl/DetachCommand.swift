import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Gives some groups of a claim back to the host.
struct DetachCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Give some groups of a claim back to the host, once its owner has let go of them.",
        discussion: ClaimOutcome.lateGroupsEndWithOne)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: "The identity or name of the claim.")
    var claim: String

    @Argument(help: ArgumentHelp("The groups: their identities, or one device of each.", valueName: "group"))
    var groups: [String]

    func run(on connection: Connection) async throws {
        var ids: [String] = []
        for group in groups { ids.append(try await connection.groupIdentity(group)) }
        let outcome = try await follow(Claims.Detach.self, .init(claim: claim, groups: ids), on: connection)
        let rest = outcome.claim
        if !common.json {
            for group in outcome.returned {
                printLine(
                    (["group \(group.id) is back:"] + group.members.map { "  \($0.wayBack)" }).joined(separator: "\n"))
            }
            printLine(rest.text)
        }
        try requireReturned(ids, of: rest)
    }
}
