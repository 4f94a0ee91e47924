// The command-line client: one subcommand a method of the API, as tables for people and as JSON for programs.

import ArgumentParser

/// vfiogroupctl.
@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vfiogroupctl",
        abstract: "Ask vfiogroupd which devices can only be handed to a virtual machine together, and claim them.",
        version: "0.1.0",
        subcommands: [
            ListCommand.self, ShowCommand.self, ExplainCommand.self, DevicesCommand.self, TreeCommand.self,
            MonitorCommand.self,
            StatusCommand.self, SnapshotCommand.self, ClaimCommand.self, ClaimsCommand.self, ReleaseCommand.self,
            AttachCommand.self,
            DetachCommand.self, AdoptCommand.self, AbandonCommand.self, UnquarantineCommand.self, ReloadCommand.self,
            SimulateCommand.self,
        ])

    /// Options may stand before the subcommand too.
    @OptionGroup var common: CommonOptions

    static func main() { main(keepingTerminator(Array(CommandLine.arguments.dropFirst()))) }

    /// ArgumentParser drops `--`, and takes one list of arguments only. `claim` has two with `--` between them: it gets
    /// another, which stays in its list.
    static func keepingTerminator(_ arguments: [String]) -> [String] {
        guard let end = arguments.firstIndex(of: "--"), arguments[..<end].contains("claim") else { return arguments }
        return arguments[..<end] + ["--"] + arguments[end...]
    }
}

/// What every subcommand takes.
struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The daemon's socket; without it your own daemon's, then the system's.", valueName: "path"))
    var socket: String?

    @Flag(help: "Print the reply as it came, one JSON object a line.")
    var json = false

    /// These options where they are given, and where they are not, those that stood before the subcommand.
    func orElse(_ earlier: CommonOptions) -> CommonOptions {
        var options = self
        options.socket = socket ?? earlier.socket
        options.json = json || earlier.json
        return options
    }
}
