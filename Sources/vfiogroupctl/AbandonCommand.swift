import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Forgets a claim that cannot be restored.
struct AbandonCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "abandon", abstract: "Forget a claim that cannot be restored, and leave its devices as they are.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: "The identity or name of the claim.")
    var claim: String

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(Claims.Abandon.self, .init(claim: claim))
        if common.json { return printJSON(reply) }
        let members = try decode(reply, as: Claims.Abandon.Reply.self).members
        guard !members.isEmpty else {
            return printLine("claim \(claim) is forgotten; all its devices are as they were before")
        }
        printLine("claim \(claim) is forgotten. Not as they were before:")
        for member in members {
            printLine("  \(member.address.text): \(member.reason.printable)")
            if let remedy = member.remedy { printLine("    \(remedy.printable)") }
            if let name = member.driverOverride { printLine("    its driver_override is still \(name.printable)") }
        }
        let commands = members.flatMap { $0.commands ?? [] }
        guard !commands.isEmpty else { return }
        printLine("Nobody undoes that any more. As root, by hand:")
        for command in commands { printLine("  \(command.printable)") }
    }
}
