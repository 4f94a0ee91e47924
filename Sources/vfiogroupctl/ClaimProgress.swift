// Calls that take a while: they are followed to their last reply. A terminal shows how far they are; where there is none,
// each wait is a line.

import EventLoop
import Glibc
import GroupAPI
import Varlink

/// What stderr says of how far a call is: on a terminal one line that is written over, elsewhere a line for each wait.
struct ProgressLine {
    /// nil where nobody watches.
    private let terminal: Int32?
    private var isShown = false
    /// What each group was last said to wait for, without the time that it takes.
    private var said: [String: String] = [:]
    /// Whether it is printed as JSON what it waits for.
    private let isSilent: Bool

    init(isSilent: Bool) {
        self.isSilent = isSilent
        terminal = isatty(STDERR_FILENO) == 1 ? STDERR_FILENO : nil
    }

    mutating func show(_ progress: Claims.Progress) {
        guard let terminal else { return say(progress) }
        // Back to the first column, and what the last text left there is erased.
        write("\r\u{1b}[K\(progress.text)", to: terminal)
        isShown = true
    }

    private mutating func say(_ progress: Claims.Progress) {
        guard !isSilent, let wait = progress.operation.lastingWait, said[progress.group] != wait else { return }
        said[progress.group] = wait
        complain(progress.text)
    }

    mutating func clear() {
        guard isShown, let terminal else { return }
        write("\r\u{1b}[K", to: terminal)
        isShown = false
    }
}

/// What a call that shows its progress has come to.
struct ClaimOutcome {
    var claim: Claims.ClaimStatus
    /// What was handed over.
    var handover: Claims.Handover?
    /// What a consumer needs, where the daemon says so.
    var needs: Claims.Needs?
    /// What the host uses of it, and did not stop it.
    var uses: [Claims.Use] = []
    /// Groups that are back with the host, where the daemon says so.
    var returned: [Claims.ClaimedGroup] = []
    /// The descriptors of the last reply, where they were asked for; closed when nobody holds this any more.
    var descriptors: ReceivedDescriptors

    /// What the commands that give groups back say of their exit status.
    static let lateGroupsEndWithOne = """
        Ends with 1 when something is not back yet, because a call into the kernel does not return or what was tried \
        failed; the daemon goes on with it.
        """
}

extension DaemonCommand {
    /// Calls one of the methods that reply with progress, and at last with the claim; nil where that is no more.
    @LoopActor func followToEnd<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, on connection: Connection,
        receivesDescriptors: Bool = false
    ) async throws -> ClaimOutcome? {
        let stream = try await connection.stream(method, parameters, receivesDescriptors: receivesDescriptors)
        var line = ProgressLine(isSilent: common.json)
        defer { line.clear() }
        var outcome: ClaimOutcome?
        while let reply = try await stream.next() {
            if common.json { printJSON(reply) }
            // Claim's reply has what those of the others have.
            let read = try decode(reply, as: Claims.Claim.Reply.self)
            if let progress = read.progress { line.show(progress) }
            if let claim = read.claim {
                outcome = ClaimOutcome(
                    claim: claim, handover: read.handover, needs: read.needs, uses: read.uses ?? [],
                    returned: try decode(reply, as: Claims.Detach.Reply.self).returned ?? [],
                    descriptors: stream.descriptors)
            }
        }
        return outcome
    }

    /// The same for a method whose claim lives on.
    @LoopActor func follow<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, on connection: Connection,
        receivesDescriptors: Bool = false
    ) async throws -> ClaimOutcome {
        let outcome = try await followToEnd(
            method, parameters, on: connection, receivesDescriptors: receivesDescriptors)
        guard let outcome else {
            throw Complaint(description: "the daemon's last reply has no claim; is it of another version?")
        }
        return outcome
    }

    /// The same for a method that takes selectors, which an error then names as they were typed.
    @LoopActor func follow<Method: VarlinkMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters, on connection: Connection,
        receivesDescriptors: Bool = false, selectors: [String]
    ) async throws -> ClaimOutcome {
        do {
            return try await follow(method, parameters, on: connection, receivesDescriptors: receivesDescriptors)
        } catch let error as ClientError {
            guard let failure: Claims.Failure = error.failure() else { throw error }
            throw Complaint(description: failure.sentence(selectors: selectors))
        }
    }

    /// Complains of groups that are not back with the host, though their claim gave them up.
    func requireReturned(_ groups: [String], of claim: Claims.ClaimStatus) throws(Complaint) {
        let late = claim.groupsOnTheirWayBack.filter { groups.contains($0.id) }
        guard !late.isEmpty else { return }
        var lines: [String] = []
        for group in late {
            let reason = group.reason?.printable ?? group.operation?.text ?? "the daemon does not say why"
            lines.append("group \(group.id) is still \(group.state.rawValue): \(reason)")
            lines += group.help.map { "  " + $0 }
        }
        let goesOn = late.contains { $0.waitsForChange != true } ? "The daemon goes on with it; " : ""
        throw Complaint(
            description: lines.joined(separator: "\n")
                + "\n\(goesOn)vfiogroupctl claims \(claim.id) shows how far it is, vfiogroupctl release \(claim.id) tries "
                + "again, vfiogroupctl abandon \(claim.id) leaves its devices as they are")
    }
}
