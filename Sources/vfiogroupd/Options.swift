// The daemon's command line. It has few options: what an administrator sets lies in vfiogroupd.conf.

import CLinux
import Config
import Glibc

/// What the command line asks for.
struct Options {
    /// What to do.
    enum Mode: Equatable {
        /// Serve until told to stop.
        case serve
        /// Print the groups as ListGroups would list them, and end.
        case printGroups
        /// Say what is wrong with the configuration, and end.
        case checkConfiguration
        /// Print the reservations of the configuration, one a line, and end.
        case printReservations
    }

    /// What went wrong, or what was asked for instead of a daemon: an exit code and text for stdout or stderr.
    struct Ending: Error {
        var code: Int32
        var text: String
    }

    var mode = Mode.serve
    /// `demo`, or a folder that holds `sys/`; nil for this host.
    var simulate: String?
    var socket: String?
    var configuration: String?
    var backend: BackendChoice?

    static let usage = """
        Usage: vfiogroupd [OPTION...]

        Knows which devices of this host can only be handed to a virtual machine together, and serves
        that knowledge over Varlink.

          --socket=PATH        listen here (default /run/vfiogroupd/io.vfiogroupd; without root, or simulating,
                               $XDG_RUNTIME_DIR/vfiogroupd/io.vfiogroupd)
          --config=FILE        read this file and its drop-ins instead of /etc/vfiogroupd/vfiogroupd.conf
          --backend=NAME       what decides the groups: \(backendNames)
          --simulate=PATH      look at the machine captured below PATH, a folder that holds sys/, or in the
                               snapshot PATH, a file; or at the built-in machine with the word demo
          --print-groups       print all groups as JSON and end
          --check-config       say what is wrong with the configuration, and end; 1 when something is
          --print-reservations print what the configuration reserves, without reading the host, and end; a line
                               each: name, group or device, which one, vendor:device or -, with tabs between
          --version            print the version and end
          -h, --help           print this and end
        """

    private static let backendNames = BackendChoice.allCases.map(\.rawValue).joined(separator: ", ")

    /// The long options, in the order of getopt's table.
    private enum Name: Int32, CaseIterable {
        case socket, config, backend, simulate, printGroups, checkConfig, printReservations, version, help

        var text: StaticString {
            switch self {
            case .socket: "socket"
            case .config: "config"
            case .backend: "backend"
            case .simulate: "simulate"
            case .printGroups: "print-groups"
            case .checkConfig: "check-config"
            case .printReservations: "print-reservations"
            case .version: "version"
            case .help: "help"
            }
        }

        var takesArgument: Bool { self == .socket || self == .config || self == .backend || self == .simulate }

        /// What getopt returns for it: above all characters, since only -h has a short form.
        var value: Int32 { 256 + rawValue }

        init?(value: Int32) {
            self.init(rawValue: value == Int32(UInt8(ascii: "h")) ? Self.help.rawValue : value - 256)
        }
    }

    /// Reads the process's arguments, once in the life of a process.
    init() throws(Ending) {
        let table = Name.allCases.map {
            clinux_option(
                name: UnsafeRawPointer($0.text.utf8Start).assumingMemoryBound(to: CChar.self),
                takes_argument: $0.takesArgument ? 1 : 0, character: $0.value)
        }
        let remedy = "try vfiogroupd --help"
        while true {
            var argument: UnsafePointer<CChar>?
            var next: Int32 = 0
            let option = clinux_next_option(
                CommandLine.argc, CommandLine.unsafeArgv, table, Int32(table.count), &argument, &next)
            if option == -1 {
                guard next >= CommandLine.argc else {
                    let word = CommandLine.arguments[Int(next)]
                    throw Ending(code: 2, text: "vfiogroupd takes no argument, and was given \"\(word)\"; \(remedy)")
                }
                return
            }
            let value = argument.map { String(cString: $0) } ?? ""
            switch Name(value: option) {
            case .socket: socket = try Self.nonEmpty(value, "--socket", "a path")
            case .config: configuration = try Self.nonEmpty(value, "--config", "a file")
            case .simulate: simulate = try Self.nonEmpty(value, "--simulate", "a folder, a file, or the word demo")
            case .printGroups: mode = .printGroups
            case .checkConfig: mode = .checkConfiguration
            case .printReservations: mode = .printReservations
            case .backend:
                guard let choice = BackendChoice(rawValue: value) else {
                    throw Ending(
                        code: 2, text: "--backend: there is no backend \"\(value)\"; it is one of \(Self.backendNames)")
                }
                backend = choice
            case .version: throw Ending(code: 0, text: "vfiogroupd \(Version.text)")
            case .help: throw Ending(code: 0, text: Self.usage)
            // getopt has said which option is wrong, and how.
            case nil: throw Ending(code: 2, text: remedy)
            }
        }
    }

    private static func nonEmpty(_ value: String, _ option: String, _ what: String) throws(Ending) -> String {
        guard !value.isEmpty else { throw Ending(code: 2, text: "\(option) takes \(what), and was given nothing") }
        return value
    }
}
