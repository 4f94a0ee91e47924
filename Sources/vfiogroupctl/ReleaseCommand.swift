import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

/// Gives a claim's groups back to the host.
struct ReleaseCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Give all groups of a claim back to the host, once its owner has let go of them.",
        discussion: ClaimOutcome.lateGroupsEndWithOne)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Argument(help: "The identity or name of the claim.")
    var claim: String

    func run(on connection: Connection) async throws {
        let outcome = try await followToEnd(Claims.Release.self, .init(claim: claim), on: connection)
        if !common.json { printLine(outcome?.claim.releaseText ?? "claim \(claim.printable) is released") }
        guard let claim = outcome?.claim else { return }
        try requireReturned(claim.groups.map(\.id), of: claim)
    }
}

extension Claims.ClaimedMember {
    /// What became of it on its way back.
    var wayBack: String {
        let now = driver ?? "no driver"
        let isBack = driver == driverBefore
        let text = isBack ? "\(now) again" : "\(now) now, \(driverBefore ?? "unknown or no driver") before"
        return "\(address.text): \(text)\(notes.isEmpty ? "" : "; \(notes)")"
    }
}

extension Claims.ClaimStatus {
    /// What became of its members on their way back.
    var releaseText: String {
        var lines = [groupsOnTheirWayBack.isEmpty ? "claim \(title) is released:" : "claim \(title):"]
        for member in groups.flatMap(\.members) {
            lines.append("  \(member.wayBack)")
        }
        let notReset = groups.flatMap(\.members).filter { $0.reset == .notReset }
        if !notReset.isEmpty {
            lines.append(
                "not reset, so that they may hold what their last owner left in them: "
                    + notReset.map(\.address.text).joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }
}
