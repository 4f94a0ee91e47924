import ArgumentParser
import EventLoop
import Files
import Glibc
import GroupAPI
import JSON
import Varlink

/// Takes the whole inventory down in a file that `vfiogroupd --simulate` replays anywhere.
struct SnapshotCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take the whole host down in a file, for a bug report or a simulation.",
        discussion: """
            The file has addresses, IDs, configuration registers, groups and drivers; no serial numbers, MAC addresses \
            or names of disks, which the daemon does not even read. Replay it with vfiogroupd --simulate=FILE.

            --serial-numbers puts those of PCI Express devices in (Device Serial Number; those of network cards are \
            often made of a MAC address), to tell devices of one model apart.
            """)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("Write to this file instead of stdout.", valueName: "file"))
    var output: String?

    @Flag(help: "Read the serial numbers of devices, and put them into the file.") var serialNumbers = false

    func run(on connection: Connection) async throws {
        let reply = try await connection.call(
            Manager.TakeSnapshot.self, .init(serialNumbers: serialNumbers ? true : nil))
        // --json is as the reply came, with the name of its field around the snapshot.
        guard let snapshot = common.json ? .object(reply) : reply["snapshot"] else {
            throw Complaint(description: "the daemon's reply has no snapshot in it; is it of another version?")
        }
        let text = snapshot.description + "\n"
        guard let output else { return write(text, to: STDOUT_FILENO) }
        try save(text, to: output)
        let count: (String) -> Int = { name in
            if case .array(let elements)? = reply["snapshot"]?[name] { elements.count } else { 0 }
        }
        printLine("\(output): \(count("devices")) devices, \(count("kernelGroups")) kernel groups")
    }

    /// Puts a text in a file that is not there, or in the place of one.
    private func save(_ text: String, to path: String) throws(Complaint) {
        let file = creat(path, 0o644)
        guard file >= 0 else { throw complaint("cannot be written", path, errno) }
        defer { close(file) }
        do throws(SystemError) { try writeAll(text.utf8, to: file) } catch {
            throw complaint("could not be written to its end", path, error.errno)
        }
    }

    private func complaint(_ what: String, _ path: String, _ errno: Int32) -> Complaint {
        Complaint(description: "\(path) \(what): \(errorText(errno))")
    }
}
