import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Lists all claims, or shows one.
struct ClaimsCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "claims", abstract: "List all claims, or show one with its groups.")

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: ArgumentHelp("The identity or name of a claim.", valueName: "claim"))
    var claim: String?

    func run(on connection: Connection) async throws {
        if let claim {
            let reply = try await connection.call(Claims.GetClaim.self, .init(claim: claim))
            if common.json { return printJSON(reply) }
            return printLine(try decode(reply, as: Claims.GetClaim.Reply.self).claim.text)
        }
        let reply = try await connection.call(Claims.ListClaims.self, .init())
        if common.json { return printJSON(reply) }
        let claims = try decode(reply, as: Claims.ListClaims.Reply.self).claims
        printLine(claims.isEmpty ? "Nothing is claimed." : claimTable(claims))
    }
}
