import ArgumentParser
import EventLoop
import GroupAPI
import JSON
import Varlink

/// Drives the machine of a daemon that simulates.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Change a simulated machine, as its administrator or hardware would.",
        subcommands: [
            SimulateBind.self, SimulateUnbind.self, SimulateRemove.self, SimulateRescan.self,
            SimulateVirtualFunctions.self, SimulateLoad.self, SimulateHotplug.self, SimulateUnplug.self,
            SimulateFault.self, SimulateFaults.self, SimulateReleaseBlocked.self, SimulateReset.self, SimulateUse.self,
        ])

    @ParentCommand var parent: Command
}

/// A subcommand of `simulate`.
protocol SimulationCommand: DaemonCommand {
    var above: SimulateCommand { get }
}

extension SimulationCommand {
    var parent: Command { above.parent }

    /// Prints the reply with --json, and nothing otherwise.
    func finish(_ reply: JSONObject) { if common.json { printJSON(reply) } }
}

struct SimulateBind: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "bind", abstract: "Move a device to a driver.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String
    @Argument var driver: String

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(
            Simulation.Bind.self, .init(device: try .init(typed: device), driver: driver))
        if common.json { return printJSON(reply) }
        let bound = try decode(reply, as: Simulation.Bind.Reply.self).driver
        printLine("\(device) has \(bound.map { "the driver \($0)" } ?? "no driver") now")
    }
}

struct SimulateUnbind: SimulationCommand {
    static let configuration = CommandConfiguration(commandName: "unbind", abstract: "Take a device from its driver.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String

    func run(on connection: Connection) async throws {
        finish(try await connection.call(Simulation.Unbind.self, .init(device: try .init(typed: device))))
    }
}

struct SimulateRemove: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a device and all that sits behind it.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String

    func run(on connection: Connection) async throws {
        finish(try await connection.call(Simulation.Remove.self, .init(device: try .init(typed: device))))
    }
}

struct SimulateRescan: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "rescan", abstract: "Find removed devices again.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions

    func run(on connection: Connection) async throws {
        finish(try await connection.call(Simulation.Rescan.self, .init()))
    }
}

struct SimulateVirtualFunctions: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "vfs", abstract: "Change how many virtual functions a physical function has.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument var device: String
    @Argument var count: Int

    func run(on connection: Connection) async throws {
        finish(
            try await connection.call(
                Simulation.SetVirtualFunctions.self, .init(device: try .init(typed: device), count: count)))
    }
}

struct SimulateLoad: SimulationCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Load the module of a driver, which then takes what it is for.")

    @ParentCommand var above: SimulateCommand
    @OptionGroup var own: CommonOptions
    @Argument(help: "The driver, such as vfio-pci.") var module: String

    func run(on connection: Connection) async throws {
        finish(try await connection.call(Simulation.LoadModule.self, .init(driver: module)))
    }
}
