import ArgumentParser
import EventLoop
import Glibc
import GroupAPI
import JSON
import Varlink

extension Claims.Lifetime: ExpressibleByArgument {}
extension Claims.Access: ExpressibleByArgument {}

/// What the commands that take groups over have in common.
struct TakeoverOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A device to take though the host uses it; once for each. Nothing else is forced.", valueName: "address"))
    var force: [String] = []

    @Option(help: ArgumentHelp("How many groups to take for each selector of IDs.", valueName: "n"))
    var count: Int?

    func validate() throws {
        guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count must be 1 or more") }
    }

    /// The devices that are forced; nil for none.
    var forced: [Claims.DeviceAddress]? {
        get throws(Complaint) { try addresses(force) }
    }

    /// What was typed, for the daemon.
    func selectors(_ typed: [String]) throws(Complaint) -> [Claims.Selector] {
        var selectors: [Claims.Selector] = []
        for text in typed { selectors.append(try Claims.Selector(typed: text, count: count)) }
        guard count == nil || selectors.contains(where: { $0.count != nil }) else {
            throw Complaint(description: "--count is for selectors of IDs, such as vendor=10de; there is none")
        }
        return selectors
    }
}

/// Addresses as they were typed; nil for none.
func addresses(_ typed: [String]) throws(Complaint) -> [Claims.DeviceAddress]? {
    var addresses: [Claims.DeviceAddress] = []
    for text in typed { addresses.append(try Claims.DeviceAddress(typed: text)) }
    return addresses.isEmpty ? nil : addresses
}

/// How many bytes a size is: a number, with K, M, G or T for powers of 1024.
func bytes(of typed: String) throws(Complaint) -> Int {
    let powers: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
    let power = typed.last.flatMap { powers[Character($0.uppercased())] }
    guard let number = Int(power == nil ? typed : String(typed.dropLast())), number >= 0,
        case let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (power ?? 0)), !overflow
    else {
        throw Complaint(description: "--guest-memory: \(typed) is no size; give bytes, or a number and K, M, G or T")
    }
    return bytes
}

/// How many seconds to wait for a consumer; 0, the API's word for no end, is "infinity" here.
func seconds(of typed: String) throws(Complaint) -> Int {
    if typed == "infinity" { return 0 }
    guard let seconds = Int(typed), (1...86_400).contains(seconds) else {
        throw Complaint(
            description: "--consumer-timeout: \(typed) is no number of seconds from 1 to 86400, nor infinity")
    }
    return seconds
}

/// The user of this name or number.
func uid(of typed: String) throws(Complaint) -> Int {
    if let number = UInt32(typed) { return Int(number) }
    guard let entry = getpwnam(typed) else {
        throw Complaint(description: "--user: there is no user \(typed) here")
    }
    return Int(entry.pointee.pw_uid)
}

/// Takes groups from the host.
struct ClaimCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "claim", abstract: "Take whole groups from the host, for yourself or for a command.",
        usage: "vfiogroupctl claim <selector> ... [<options>] [-- <command> <argument> ...]",
        discussion: """
            A selector is a group's identity, a device in the group (0000:01:00.0, or BUS/NAME), or IDs that an endpoint \
            of it has: vendor=10de,device=2204,class=0300. A class has four hexadecimal digits, or six with the \
            programming interface.

            A claim is manual unless told otherwise: it stays until vfiogroupctl release. With --lifetime process or \
            connection this command is the owner, and stays until Ctrl-C.

            Descriptors that are handed over would be closed when this command ends. So --access other than hold and \
            path needs --lifetime process or connection, or a command after --: that inherits the descriptors, and finds their \
            numbers as JSON (type Handover of io.vfiogroupd.Claims, with numbers for indices) in VFIOGROUPD_HANDOVER. \
            The claim then lasts as long as the command, and its exit code is this one's.
            """)

    @ParentCommand var parent: Command
    @OptionGroup var own: CommonOptions
    @OptionGroup var takeover: TakeoverOptions

    @Argument(help: ArgumentHelp("What to claim; behind -- the command.", valueName: "selector"))
    var words: [String]

    @Option(help: "What to call the claim; it can then be named so.")
    var name: String?

    @Option(help: "How long it lasts. (default: manual; process with a command)")
    var lifetime: Claims.Lifetime?

    @Option(help: "What to hand over; hold is nothing.")
    var access: Claims.Access = .hold

    @Option(
        name: .customLong("leave-out"),
        help: ArgumentHelp(
            "With --access unbound: a device that stays bound to the daemon; once for each.", valueName: "address"))
    var leaveOut: [String] = []

    @Option(
        help: ArgumentHelp("With --access path: who may open the nodes, by name or number.", valueName: "user"))
    var user: String?

    @Option(
        name: .customLong("consumer-timeout"),
        help: ArgumentHelp(
            "With --access path: how long to wait for who is to open the nodes; infinity for as long as the owner lives.",
            valueName: "seconds"))
    var consumerTimeout: String?

    @Option(
        name: .customLong("guest-memory"),
        help: ArgumentHelp(
            "How much memory the guest will have, such as 8G: to be told what its process must be allowed to lock.",
            valueName: "size"))
    var guestMemory: String?

    @Option(help: ArgumentHelp("How long to wait for what another claim has.", valueName: "seconds"))
    var wait: Int?

    @Flag(
        name: .customLong("dry-run"),
        help: "Say what the claim would take and do, and whether it would be refused; nothing is changed.")
    var isDryRun = false

    /// What to claim.
    var selectors: [String] { Array(words.prefix { $0 != "--" }) }

    /// A command to run with what is handed over; empty for none.
    var command: [String] { Array(words.drop { $0 != "--" }.dropFirst()) }

    /// How long the claim lasts.
    var effectiveLifetime: Claims.Lifetime { lifetime ?? (command.isEmpty ? .manual : .process) }

    func validate() throws {
        guard !selectors.isEmpty else { throw ValidationError("give at least one selector") }
        guard !command.isEmpty || words.last != "--" else { throw ValidationError("there is no command behind --") }
        guard !isDryRun || command.isEmpty else {
            throw ValidationError("--dry-run makes no claim, so that a command would have nothing to run with")
        }
        guard wait.map({ $0 >= 0 }) ?? true else { throw ValidationError("--wait must be 0 or more") }
        guard isDryRun || access == .hold || access == .path || effectiveLifetime != .manual || !command.isEmpty else {
            throw ValidationError(
                "what --access \(access.rawValue) hands over would be gone when this command ends: add --lifetime process "
                    + "(or connection) to stay, or a command after -- that inherits it")
        }
        guard user == nil || access == .path else { throw ValidationError("--user is for --access path") }
        guard consumerTimeout == nil || access == .path else {
            throw ValidationError("--consumer-timeout is for --access path")
        }
        guard leaveOut.isEmpty || access == .unbound else {
            throw ValidationError("--leave-out is for --access unbound")
        }
    }

    func run(on connection: Connection) async throws {
        let parameters = Claims.Claim.Parameters(
            selectors: try takeover.selectors(selectors), name: name, lifetime: effectiveLifetime, access: access,
            leaveOut: try addresses(leaveOut), user: try user.map { (name) throws(Complaint) in try uid(of: name) },
            force: try takeover.forced, waitSeconds: wait,
            guestMemory: try guestMemory.map { (text) throws(Complaint) in try bytes(of: text) },
            consumerTimeoutSeconds: try consumerTimeout.map { (text) throws(Complaint) in try seconds(of: text) },
            dryRun: isDryRun ? true : nil)
        if isDryRun { return try await tellPlan(parameters, on: connection) }
        let outcome = try await follow(
            Claims.Claim.self, parameters, on: connection, receivesDescriptors: true, selectors: selectors)
        if !command.isEmpty { return try await runCommand(outcome) }
        if !common.json { printLine(outcome.text) }
        try await stay(with: outcome, on: connection)
    }

    /// Says what the claim would do; ends with 1 where it would be refused.
    @LoopActor private func tellPlan(_ parameters: Claims.Claim.Parameters, on connection: Connection) async throws {
        let reply: JSONObject
        do throws(ClientError) { reply = try await connection.call(Claims.Claim.self, parameters) } catch {
            guard let failure: Claims.Failure = error.failure() else { throw error }
            throw Complaint(description: failure.sentence(selectors: selectors))
        }
        let read = try decode(reply, as: Claims.Claim.Reply.self)
        guard let plan = read.plan else {
            throw Complaint(description: "the daemon's reply has no plan; is it of another version?")
        }
        if common.json {
            printJSON(reply)
        } else {
            printLine([plan.text, read.needs?.text].compactMap { $0 }.joined(separator: "\n\n"))
        }
        if plan.refused { throw ExitCode(1) }
    }

    private func runCommand(_ outcome: ClaimOutcome) async throws {
        // What is printed from here on is the command's.
        if !common.json { complain(outcome.text) }
        let inherited = try outcome.handover.map { (handover) throws(Complaint) in
            try InheritedHandover(handover, outcome.descriptors)
        }
        let code = try await vfiogroupctl.run(command, inheriting: inherited)
        if code != 0 { throw ExitCode(code) }
    }

    private func stay(with outcome: ClaimOutcome, on connection: Connection) async throws {
        defer { withExtendedLifetime(outcome.descriptors) {} }
        switch effectiveLifetime {
        case .manual: return
        case .process:
            complain("\nThe claim lasts as long as this process: Ctrl-C gives its groups back to the host.")
            try await EventLoop.main.sleep(until: MonotonicTime(nanoseconds: .max))
        case .connection:
            complain("\nThe claim lasts as long as this connection: Ctrl-C gives its groups back to the host.")
            await connection.closed()
            throw Complaint(description: "the daemon closed the connection, and with it the claim is over")
        }
    }
}
