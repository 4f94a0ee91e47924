// The audit: one line in the journal for everything that a client had changed, or was refused.

import EventLoop
import GroupAPI
import Systemd
import Varlink

/// A method that changes something.
protocol AuditedMethod: VarlinkMethod {
    /// What kind of message its success is.
    static var kind: MessageKind { get }
    /// Whether a call only asks: then there is nothing to put into the journal.
    static func isQuestion(_ parameters: Parameters) -> Bool
    /// What is asked for, in words that follow "refused" and "granted".
    static func request(_ parameters: Parameters) -> String
    /// The claim that a reply is about.
    static func claim(of reply: Reply) -> Claims.ClaimStatus?
    /// What is named in the call, for the journal.
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field]
}

extension AuditedMethod {
    static func isQuestion(_ parameters: Parameters) -> Bool { false }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { nil }
}

extension GroupService {
    /// Has `handler` answer a method, and puts what became of each call into the journal.
    func handle<Method: AuditedMethod>(
        _ method: Method.Type,
        _ handler: @escaping @LoopActor (Call<Method>) async throws(ErrorReply) -> Method.Reply
    ) {
        server.handle(method) { [self] (call) async throws(ErrorReply) in
            if Method.isQuestion(call.parameters) { return try await handler(call) }
            // Afterwards its process may have ended.
            let client = Client(call.caller)
            let request = Method.request(call.parameters)
            do throws(ErrorReply) {
                let reply = try await handler(call)
                let claim = Method.claim(of: reply)
                tell(
                    JournalMessage(
                        Method.kind,
                        "granted \(request) to \(client.text)" + (claim.map { ": \($0.auditText)" } ?? ""),
                        client.fields + (claim?.auditFields ?? Method.fields(call.parameters))))
                return reply
            } catch {
                let why = error.name.map { "\($0) \(error.parametersText)" } ?? "the client was gone"
                tell(
                    JournalMessage(
                        .requestRefused, "refused \(request) to \(client.text): \(why)",
                        client.fields + Method.fields(call.parameters)
                            + (error.name.map { [.init(.errorName, $0)] } ?? [])))
                throw error
            }
        }
    }
}

extension Claims.ClaimStatus {
    /// What it is, for a line.
    fileprivate var auditText: String {
        let name = name.map { " \"\($0)\"" } ?? ""
        let of = groups.isEmpty ? "" : " of " + groups.map(\.id).joined(separator: ", ")
        return "\(id)\(name)\(of), \(state.rawValue), lifetime \(lifetime.rawValue), access \(access.rawValue)"
    }

    fileprivate var auditFields: [JournalMessage.Field] {
        [.init(.claim, id)] + (name.map { [.init(.claimName, $0)] } ?? [])
            + groups.map { .init(.group, $0.id) }
            + groups.flatMap(\.members).map { .init(.device, $0.address.text) }
    }
}

extension Claims.Selector {
    fileprivate var auditText: String {
        if let group { return group }
        if let device { return device.text }
        return "\(count ?? 1) by IDs"
    }
}

extension [Claims.Selector] {
    /// As many as a line bears.
    fileprivate var auditText: String {
        prefix(16).map(\.auditText).joined(separator: ", ") + (count > 16 ? ", and \(count - 16) more" : "")
    }

    fileprivate var auditFields: [JournalMessage.Field] {
        prefix(16).flatMap { selector -> [JournalMessage.Field] in
            (selector.group.map { [.init(.group, $0)] } ?? [])
                + (selector.device.map { [.init(.device, $0.text)] } ?? [])
        }
    }
}

extension [Claims.DeviceAddress]? {
    /// What is taken though the host uses it.
    fileprivate var forceText: String {
        guard let self, !self.isEmpty else { return "" }
        return ", by force \(self.prefix(16).map(\.text).joined(separator: ", "))"
    }
}

extension Claims.Claim: AuditedMethod {
    static var kind: MessageKind { .claimGranted }
    static func isQuestion(_ parameters: Parameters) -> Bool { parameters.dryRun == true }
    static func request(_ parameters: Parameters) -> String {
        "a claim of \(parameters.selectors.auditText)\(parameters.force.forceText)"
    }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { parameters.selectors.auditFields }
}

extension Claims.Launch: AuditedMethod {
    static var kind: MessageKind { .handedOver }
    static func request(_ parameters: Parameters) -> String {
        "\(parameters.access.rawValue) access to the groups of claim \(parameters.claim)"
    }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { [.init(.claim, parameters.claim)] }
}

extension Claims.Attach: AuditedMethod {
    static var kind: MessageKind { .groupsAttached }
    static func request(_ parameters: Parameters) -> String {
        "\(parameters.selectors.auditText) for claim \(parameters.claim)\(parameters.force.forceText)"
    }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] {
        [.init(.claim, parameters.claim)] + parameters.selectors.auditFields
    }
}

extension Claims.Detach: AuditedMethod {
    static var kind: MessageKind { .groupsDetached }
    static func request(_ parameters: Parameters) -> String {
        "the return of \(parameters.groups.prefix(16).joined(separator: ", ")) of claim \(parameters.claim)"
    }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] {
        [.init(.claim, parameters.claim)] + parameters.groups.prefix(16).map { .init(.group, $0) }
    }
}

extension Claims.Release: AuditedMethod {
    static var kind: MessageKind { .claimReleased }
    static func request(_ parameters: Parameters) -> String { "the release of claim \(parameters.claim)" }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { [.init(.claim, parameters.claim)] }
}

extension Claims.Adopt: AuditedMethod {
    static var kind: MessageKind { .groupAdopted }
    static func request(_ parameters: Parameters) -> String { "the adoption of group \(parameters.group)" }
    static func claim(of reply: Reply) -> Claims.ClaimStatus? { reply.claim }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { [.init(.group, parameters.group)] }
}

extension Claims.Abandon: AuditedMethod {
    static var kind: MessageKind { .claimAbandoned }
    static func request(_ parameters: Parameters) -> String { "to forget claim \(parameters.claim) as it is" }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { [.init(.claim, parameters.claim)] }
}

extension Claims.Unquarantine: AuditedMethod {
    static var kind: MessageKind { .quarantineLifted }
    static func request(_ parameters: Parameters) -> String { "the end of the quarantine of group \(parameters.group)" }
    static func fields(_ parameters: Parameters) -> [JournalMessage.Field] { [.init(.group, parameters.group)] }
}
