import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Adds groups to a claim.
struct AttachCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach", abstract: "Add groups to a claim; they share its I/O address space.",
        discussion: """
            Selectors are those of vfiogroupctl claim. The groups are the claim's; descriptors of them would be closed \
            when this command ends, so that it asks for none.
            """)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions
    @OptionGroup var takeover: TakeoverOptions

    @Argument(help: "The identity or name of the claim.")
    var claim: String

    @Argument(help: ArgumentHelp("What to add.", valueName: "selector"))
    var selectors: [String]

    func run(on connection: Connection) async throws {
        let outcome = try await follow(
            Claims.Attach.self,
            .init(claim: claim, selectors: try takeover.selectors(selectors), force: try takeover.forced),
            on: connection, selectors: selectors)
        if !common.json {
            printLine([outcome.claim.text, usesText(outcome.uses)].compactMap { $0 }.joined(separator: "\n\n"))
        }
    }
}
