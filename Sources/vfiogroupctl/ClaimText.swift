// Claims as people read them: a table of all, one in detail, and how far a call is.

import GroupAPI

extension Claims.Owner {
    /// `uid 0, process 4711 (qemu-system-x86)`.
    var text: String { "uid \(uid), process \(pid)\(command.map { " (\($0.printable))" } ?? "")" }
}

extension Claims.Operation {
    /// `unbind 0000:01:00.0 (3 of 12)`, for how long where that is long, and what it waits for.
    var text: String {
        let isLong = seconds >= 1 && (blocked || waitsFor != nil)
        let what = title + (isLong ? " for \(Int(seconds.rounded())) s" : "")
        if let wait { return "\(what): \(wait)" }
        guard blocked else { return what }
        return title + ", has not returned for \(Int(seconds.rounded())) s"
            + (pid.map { " (process \($0))" } ?? "") + " and may never"
    }

    /// What is done, and which step it is.
    private var title: String {
        [action, member?.text].compactMap { $0 }.joined(separator: " ") + " (\(step) of \(steps))"
    }

    /// What it waits for, and what would end that; nil where it waits for nothing that has a name.
    private var wait: String? {
        waitsFor.map { $0.printable + (remedy.map { "; \($0.printable)" } ?? "") }
    }

    /// What it waits for, the same for as long as that is the same; nil where it waits for nothing.
    var lastingWait: String? {
        guard blocked || waitsFor != nil else { return nil }
        return [title, wait].compactMap { $0 }.joined(separator: ": ")
    }
}

extension Claims.Operation {
    /// The same of a group.
    init(_ operation: Groups.Operation) {
        self.init(
            action: operation.action, step: operation.step, steps: operation.steps,
            member: operation.member.map { .init(bus: $0.bus, name: $0.name) }, pid: operation.pid,
            seconds: operation.seconds, blocked: operation.blocked, waitsFor: operation.waitsFor,
            remedy: operation.remedy)
    }
}

extension Claims.Progress {
    var text: String { "\(group): \(operation.text)" }
}

extension Claims.ClaimedMember {
    /// What else is to be said of it: the reset, what is wrong, and what became of its virtual functions.
    var notes: String {
        let resetText: String? =
            switch reset {
            case nil: nil
            case .reset?: "reset"
            case .notReset?: "not reset" + (resetReason.map { ": \($0.printable)" } ?? "")
            case .failed?: "its reset failed" + (resetReason.map { ": \($0.printable)" } ?? "")
            }
        return [resetText, problem?.printable, remark?.printable].compactMap { $0 }.joined(separator: "; ")
    }

    /// What would help, with its address.
    var help: String? { remedy.map { "\(address.text): \($0.printable)" } }
}

extension Claims.ClaimedGroup {
    /// What would help, where something is wrong, and what its reason does not say yet; each thing once.
    var help: [String] {
        let ofMembers = members.filter { member in
            guard let help = member.remedy else { return false }
            return help != remedy && reason?.contains(help) != true && remedy?.contains(help) != true
        }
        return [remedy?.printable].compactMap { $0 } + ofMembers.compactMap(\.help)
    }
}

extension Claims.ClaimStatus {
    /// Its identity, and what its owner calls it.
    var title: String { id + (name.map { " \"\($0.printable)\"" } ?? "") }

    /// Its groups that are not back with the host yet and are to be.
    var groupsOnTheirWayBack: [Claims.ClaimedGroup] {
        groups.filter { $0.state == .releasing || $0.state == .restoring }
    }

    /// All of it, over several lines.
    var text: String {
        var lines = [
            "claim     \(title)", "state     \(state.rawValue)", "owner     \(owner.text)", "since     \(since)",
            "lifetime  \(lifetime.explained)", "access    \(access.rawValue)",
        ]
        if !ranges.isEmpty {
            lines.append("mappable  " + ranges.map { "\($0.start)-\($0.last)" }.joined(separator: ", "))
        }
        lines += ["", memberTable]
        for group in groups {
            if let reason = group.unownedReason {
                lines.append("\(group.id) is not owned in the kernel: \(reason.printable)")
            }
            if let reason = group.reason {
                lines.append("\(group.id) is \(group.state.rawValue): \(reason.printable)")
            }
            lines += group.help.map { "  " + $0 }
            if let operation = group.operation { lines.append("\(group.id): \(operation.text)") }
        }
        if !unownedMoments.isEmpty { lines += ["", "A host driver could have come in:"] }
        for moment in unownedMoments {
            let length = moment.seconds.map { "for \($0) s" } ?? "until now"
            lines.append("  \(moment.group) from \(moment.since) \(length): \(moment.cause)")
        }
        return lines.joined(separator: "\n")
    }

    /// The groups and their members, with the driver that each had and the one that it has.
    var memberTable: String {
        var table = Table("GROUP", "STATE", "OWNED", "DEVICE", "BEFORE", "", "NOW", "")
        for group in groups {
            for (number, member) in group.members.enumerated() {
                let first = number == 0
                table.add(
                    first ? group.id : "", first ? group.state.rawValue : "", first ? (group.owned ? "yes" : "no") : "",
                    member.address.text, member.driverBefore ?? "-", "->", member.driver ?? "-", member.notes)
            }
        }
        return table.text
    }
}

extension ClaimOutcome {
    /// The claim, what the host uses of it, the nodes of it that its user may open, and what a consumer needs.
    var text: String {
        ([claim.text] + [usesText(uses), nodesText, needs?.text].compactMap { $0 }).joined(separator: "\n\n")
    }

    private var nodesText: String? {
        guard let handover, !handover.nodes.isEmpty else { return nil }
        let nodes = handover.nodes.map { node in
            "  \(node.path)  " + (node.device?.text ?? node.kernelGroup.map { "kernel group \($0)" } ?? "")
        }
        let who = handover.user.map { "uid \($0)" } ?? "its user"
        return (["Until the groups are the daemon's again, \(who) may open:"] + nodes).joined(separator: "\n")
    }
}

extension Claims.Needs {
    /// What a consumer needs, over several lines; nil where there is nothing to say.
    var text: String? {
        var lines: [String] = []
        if let memlock { lines.append("must be allowed to lock \(memlock) bytes (RLIMIT_MEMLOCK)") }
        if sharedAddressSpace { lines.append("has all groups in one address space") }
        for reset in resets {
            lines.append(
                reset.unclaimed.isEmpty
                    ? "can reset \(reset.kind.rawValue) \(reset.name): \(reset.devices.map(\.text).joined(separator: ", "))"
                    : "cannot reset \(reset.kind.rawValue) \(reset.name), which has devices that are not claimed: "
                        + reset.unclaimed.map(\.text).joined(separator: ", "))
        }
        return lines.isEmpty ? nil : (["A consumer"] + lines.map { "  " + $0 }).joined(separator: "\n")
    }
}

extension Claims.Lifetime {
    var explained: String {
        switch self {
        case .process: "process: until its owner ends"
        case .connection: "connection: until its owner closes the connection"
        case .manual: "manual: until somebody releases it"
        }
    }
}

/// All claims, a line each.
func claimTable(_ claims: [Claims.ClaimStatus]) -> String {
    var table = Table("CLAIM", "NAME", "STATE", "OWNER", "SINCE", "LIFETIME", "ACCESS", "GROUPS")
    for claim in claims {
        table.add(
            claim.id, claim.name?.printable ?? "-", claim.state.rawValue, claim.owner.text, claim.since,
            claim.lifetime.rawValue,
            claim.access.rawValue, claim.groups.map(\.id).joined(separator: " "))
    }
    return table.text
}
