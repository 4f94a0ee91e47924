// Errors of the API as sentences: what it is about, why, and what would help.

import GroupAPI
import JSON
import Varlink

/// An error of the API in words.
func explain(_ error: ClientError) -> String {
    if let failure: Groups.Failure = error.failure() { return failure.sentence }
    if let failure: Claims.Failure = error.failure() { return failure.sentence }
    if let failure: Manager.Failure = error.failure() { return failure.sentence }
    if let failure: Simulation.Failure = error.failure() { return failure.sentence }
    guard case .reply(let name, let parameters) = error else { return "\(error)" }
    switch name {
    case "org.varlink.service.InterfaceNotFound":
        return parameters["interface"] == .string(Simulation.interface.name)
            ? "this daemon serves a real machine, and simulate is only for simulations; "
                + "start one with vfiogroupd --simulate demo"
            : "the daemon does not have this interface; is it of another version?"
    case "org.varlink.service.MethodNotFound", "org.varlink.service.MethodNotImplemented":
        return "the daemon does not have this method; is it of another version?"
    case "org.varlink.service.InvalidParameter":
        guard case .string(let parameter)? = parameters["parameter"] else { return "\(error)" }
        return "the daemon does not accept what was given as \(parameter)"
    default: return "\(error)"
    }
}

private func noSuchDevice(_ bus: String, _ name: String) -> String {
    "there is no device \(name) on the bus \(bus); vfiogroupctl devices shows them all"
}

private func noSuchGroup(_ id: String) -> String { "there is no group \(id); vfiogroupctl list shows them all" }

extension Groups.Failure {
    fileprivate var sentence: String {
        switch self {
        case .noSuchGroup(let id, let number):
            vfiogroupctl.noSuchGroup(id ?? number.map { "that holds kernel group \($0)" } ?? "")
        case .noSuchDevice(let device): vfiogroupctl.noSuchDevice(device.bus, device.name)
        case .deviceInNoGroup(let device, let reason): "\(device.name) is in no group: \(reason)"
        case .accessDenied(let reason): "you may not see that: \(reason)"
        }
    }
}

extension Manager.Failure {
    fileprivate var sentence: String {
        switch self {
        case .accessDenied(let reason): "you may not do that: \(reason)"
        case .badConfiguration(let mistakes):
            "the configuration has mistakes, and stays what it was:\n"
                + mistakes.map { mistake in
                    let place = mistake.file + (mistake.line.map { ":\($0)" } ?? "")
                    return "\(place): \(mistake.message)"
                }.joined(separator: "\n")
        }
    }
}

extension Simulation.Failure {
    fileprivate var sentence: String {
        switch self {
        case .noSuchDevice(let device): vfiogroupctl.noSuchDevice(device.bus, device.name)
        case .noSuchGroup(let group): vfiogroupctl.noSuchGroup(group)
        case .refused(let errnoName): "the simulated kernel refused: \(errnoName)"
        case .blocked:
            "the simulated kernel's call has not returned: somebody has the device open, or a fault stopped it "
                + "(vfiogroupctl simulate release-blocked)"
        case .noPlace(let device, let reason): "nothing can be plugged in at \(device.name): \(reason)"
        case .noSuchModule(let driver):
            "the simulated machine has no driver \(driver), and no module of that name"
        case .noSuchUse(let kind, let available):
            "there is no use \(kind) that can be said of a machine: there are \(available.joined(separator: ", "))"
        case .noSuchErrno(let name, let available):
            "the simulated kernel knows no error number \(name); it has \(available.joined(separator: ", "))"
        case .cannotBlock(let step):
            "\(step.rawValue) can fail (--errno), and not stay away; a probe that never returns is a bind or a "
                + "driversProbe that does not"
        }
    }
}

extension Claims.Failure {
    /// What went wrong, why, and what would help.
    var sentence: String {
        switch self {
        case .noSuchGroup(let group): return vfiogroupctl.noSuchGroup(group)
        case .noSuchDevice(let device, let reason):
            guard let reason else { return vfiogroupctl.noSuchDevice(device.bus, device.name) }
            return "\(device.text) is in no group: \(reason). Only groups can be claimed"
        case .notEnoughGroups(let selector, let wanted, let found, let uses):
            return notEnough("selector \(selector + 1)", wanted: wanted, found: found, uses ?? [])
        case .notClaimable(let group, let reason):
            return "group \(group) can never be claimed here: \(reason) (vfiogroupctl show \(group) tells more)"
        case .groupBusy(let group, let state, let claim, let name, let owner, let since, let reason):
            return (reason.map { "\($0.printable), and " } ?? "")
                + busy(group, state, claim: claim, name: name, owner: owner, since: since)
        case .inUse(let uses, let remedy): return inUse(uses, remedy)
        case .takeoverFailed(
            let group, let member, let action, let errnoName, let reason, let remedy, let unrestored, let remarks):
            let what = [action, member.map { "of \($0.text)" }].compactMap { $0 }.joined(separator: " ")
            var failed = "group \(group): \(what) failed\(errnoName.map { " (\($0))" } ?? ""): \(reason)\n\(remedy)\n"
            failed += (remarks ?? []).map { "\($0.address.text): \($0.reason)\n" }.joined()
            guard !unrestored.isEmpty else {
                return failed
                    + (remarks == nil
                        ? "All its devices are as they were before."
                        : "But for that, all its devices are as they were before.")
            }
            return failed + "Not as they were before, and the daemon goes on restoring them:\n"
                + unrestored.map {
                    "  \($0.address.text): \($0.reason)" + ($0.remedy.map { $0 == remedy ? "" : "\n    \($0)" } ?? "")
                }.joined(separator: "\n")
                + "\nvfiogroupctl show \(group) tells how far it is"
        case .accessNotAvailable(let available, let reason):
            return "this host cannot hand over like that: \(reason). What it can do: --access "
                + available.map(\.rawValue).joined(separator: ", ")
        case .accessDenied(let reason): return "you may not do that: \(reason)"
        case .tooManyClaims(let limit, let reason): return "there can be \(limit) claims: \(reason)"
        case .noSuchClaim(let claim): return "there is no claim \(claim); vfiogroupctl claims lists them all"
        case .wrongState(let subject, let state, let reason):
            // What helps is said where somebody can do something about it.
            return "\(subject) is \(state): \(reason)"
                + (reason.contains("vfiogroupctl ") ? "" : ". vfiogroupctl monitor tells when that changes")
        case .notRecorded(let reason, let remedy):
            return "nothing was done, because it cannot be put on record: \(reason)\n\(remedy)"
        case .tooManyGroups(let limit, let reason):
            return "one claim can have \(limit) group\(limit == 1 ? "" : "s") here: \(reason). "
                + "Make another claim for the rest (vfiogroupctl claim)"
        }
    }

    /// The same for a command that knows how its selectors were typed.
    func sentence(selectors: [String]) -> String {
        guard case .notEnoughGroups(let selector, let wanted, let found, let uses) = self,
            selectors.indices.contains(selector)
        else { return sentence }
        return notEnough(selectors[selector], wanted: wanted, found: found, uses ?? [])
    }

    private func notEnough(_ selector: String, wanted: Int, found: Int, _ uses: [Claims.Use]) -> String {
        "\(selector) asks for \(wanted) group\(wanted == 1 ? "" : "s"), and \(found) can be had now; "
            + "vfiogroupctl list shows the state of each"
            + (uses.isEmpty ? "" : "\nPassed over, because the host itself uses them:\n" + lines(uses) + force(uses))
    }

    private func lines(_ uses: [Claims.Use]) -> String { uses.flatMap(\.lines).map { "  \($0)\n" }.joined() }

    private func force(_ uses: [Claims.Use]) -> String {
        var addresses: [String] = []
        for use in uses where !addresses.contains(use.address.text) { addresses.append(use.address.text) }
        return "To take it all the same, name each device: " + addresses.map { "--force \($0)" }.joined(separator: " ")
    }

    private func busy(
        _ group: String, _ state: String, claim: String?, name: String?, owner: Claims.Owner?, since: String?
    ) -> String {
        if let claim {
            let whose = [owner.map { "of \($0.text)" }, since.map { "since \($0)" }].compactMap { $0 }
            return "group \(group) is \(state) by claim \(claim)\(name.map { " \"\($0.printable)\"" } ?? "")"
                + whose.map { " \($0)" }.joined() + ". vfiogroupctl claims \(claim) shows it, "
                + "vfiogroupctl release \(claim) takes it back, --wait SECONDS waits for it"
        }
        return "group \(group) is \(state). vfiogroupctl show \(group) tells more"
    }

    private func inUse(_ uses: [Claims.Use], _ remedy: String) -> String {
        "the host itself uses what would be taken:\n" + lines(uses) + "\(remedy)\n" + force(uses)
    }
}
