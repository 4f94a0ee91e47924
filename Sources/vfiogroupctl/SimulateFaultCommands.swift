import ArgumentParser
import EventLoop
import GroupAPI
import Varlink

extension Simulation.FaultStep: ExpressibleByArgument {}
extension Simulation.ResetMethod: ExpressibleByArgument {}

/// Has a call into the simulated kernel go wrong.
struct SimulateFault: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault", abstract: "Have a call into the kernel fail, or never return, at a device.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument(help: "The call.") var step: Simulation.FaultStep
    @Argument(help: "The device.") var device: String
    @Option(help: ArgumentHelp("The error number that it fails with, such as EBUSY.", valueName: "name"))
    var errno: String?
    @Flag(help: "It does not return, until simulate release-blocked.") var neverReturns = false
    @Flag(help: "It goes wrong every time, not once.") var always = false

    func validate() throws {
        guard (errno != nil) != neverReturns else { throw ValidationError("give either --errno or --never-returns") }
    }

    func run(on connection: Connection) async throws {
        finish(
            try await connection.call(
                Simulation.InjectFault.self,
                .init(step: step, device: try .init(typed: device), errnoName: errno, always: always)))
    }
}

/// Takes faults back.
struct SimulateFaults: SimulationCommand {
    enum Action: String, ExpressibleByArgument, CaseIterable { case clear }

    static let configuration = CommandConfiguration(
        commandName: "faults", abstract: "Take all faults back that no call has met.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument(help: "What to do with them.") var action: Action

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(Simulation.ClearFaults.self, .init())
        if common.json { return printJSON(reply) }
        printLine("taken back: \(try decode(reply, as: Simulation.ClearFaults.Reply.self).count)")
    }
}

/// Lets calls go on.
struct SimulateReleaseBlocked: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "release-blocked", abstract: "Let the calls go on that a fault stopped.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(Simulation.ReleaseBlocked.self, .init())
        if common.json { return printJSON(reply) }
        printLine("let go on: \(try decode(reply, as: Simulation.ReleaseBlocked.Reply.self).count)")
    }
}

/// Decides what resets do.
struct SimulateReset: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Decide what a reset of a device does from now on.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String
    @Argument(help: "What it does.") var method: Simulation.ResetMethod

    func run(on connection: Connection) async throws {
        finish(
            try await connection.call(
                Simulation.SetReset.self, .init(device: try .init(typed: device), method: method)))
    }
}

/// Says what the machine uses a device for.
struct SimulateUse: SimulationCommand {
    /// A use as it is typed.
    enum Use: ExpressibleByArgument, Equatable {
        case mounted(String)
        case defaultRoute(String)
        case bootDisplay
        /// Of any kind, by its word, with a name.
        case other(String, name: String?)
        case none

        init?(argument: String) {
            let sides = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (sides[0], sides.dropFirst().first) {
            case ("mounted", let path?) where !path.isEmpty: self = .mounted(path)
            case ("default-route", let interface?) where !interface.isEmpty: self = .defaultRoute(interface)
            case ("boot-display", nil): self = .bootDisplay
            case ("none", nil): self = .none
            case ("mounted", _), ("default-route", _), ("boot-display", _), ("none", _), ("", _), (_, ""): return nil
            case (let kind, let name): self = .other(kind, name: name)
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "use", abstract: "Say what the machine itself uses a device for, in place of what was said before."
    )

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String
    @Argument(
        help: """
            mounted:PATH, default-route:INTERFACE, boot-display, none, or KIND[:NAME], with a kind as a group's uses have \
            it (stacked, address, linkUp, ...).
            """)
    var uses: [Use]

    func run(on connection: Connection) async throws {
        var parameters = Simulation.SetUses.Parameters(device: try .init(typed: device))
        for use in uses {
            switch use {
            case .mounted(let path): parameters.mountPoint = path
            case .defaultRoute(let interface): parameters.defaultRoute = interface
            case .bootDisplay: parameters.bootDisplay = true
            case .other(let kind, let name):
                parameters.others = (parameters.others ?? []) + [.init(kind: kind, name: name)]
            case .none: break
            }
        }
        finish(try await connection.call(Simulation.SetUses.self, parameters))
    }
}
