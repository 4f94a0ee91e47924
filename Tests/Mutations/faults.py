"""Faults that vfiogroupd once had, each as the change of the sources that brings it back."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault: what goes wrong with it, and how it is put back."""

    name: str
    file: str
    old: str
    new: str


TAKEOVER = "Sources/Takeover"
CLEARANCE = "Sources/Host/Clearance.swift"

FAULTS = [
    Fault(
        "a step does not wait for who has the device open", CLEARANCE,
        "guard holders.isEmpty else { throw .open(holders) }",
        "guard holders.isEmpty || holders.count >= 0 else { throw .open(holders) }"),
    Fault(
        "a descriptor that nothing in /proc shows is not noticed", CLEARANCE,
        "return now > enableCount", "return now > enableCount && now < 0"),
    Fault(
        "a step touches a device that is on another driver by now", CLEARANCE,
        "guard terms.drivers.contains(binding.driver) else {",
        "guard terms.drivers.contains(binding.driver) || binding.driver != nil else {"),
    Fault(
        "a step touches another device that has the address by now", CLEARANCE,
        "!now.agrees(with: terms.identification) { throw", "!now.agrees(with: now) { throw"),
    Fault(
        "a device may change hands between the look at it and the call", CLEARANCE,
        "if let now = driverLink(of: clearance.device), now != DriverLink(to: before.driver) { return false }", ""),
    Fault(
        "a restart forgets what was handed over", f"{TAKEOVER}/Takeover+Recovery.swift",
        "let wasHandedOver = claim.record.access != .hold && !claim.hasAll",
        "let wasHandedOver = claim.record.access != .hold && claim.id.isEmpty"),
    Fault(
        "an owner whose end cannot be found out has ended", f"{TAKEOVER}/Takeover+Recovery.swift",
        "(try? host.hasEnded(claim.record.owner.process)) ?? false",
        "(try? host.hasEnded(claim.record.owner.process)) ?? true"),
    Fault(
        "the next consumer gets the iommufd of the last", f"{TAKEOVER}/Ownership/Handover.swift",
        "guard case .iommufd(let iommufd, _) = space.root else { return }\n        for group",
        "guard case .iommufd(let iommufd, _) = space.root, record.groups.isEmpty else { return }\n        for group"),
    Fault(
        "a physical function is claimed while another claim has a virtual one", f"{TAKEOVER}/Claim/Dependency.swift",
        "guard let claim = claim(holding: dependent, in: other.id) else { continue }",
        "guard let claim = claim(holding: dependent, in: record.id) else { continue }"),
    Fault(
        "the virtual functions of a physical one are not made again",
        f"{TAKEOVER}/Steps/ActiveClaim+VirtualFunctions.swift",
        "guard let count = recorded.before.virtualFunctions, count > 0,\n            case .named",
        "guard let count = recorded.before.virtualFunctions, count > 99,\n            case .named"),
    Fault(
        "the virtual functions that somebody made meanwhile are replaced",
        f"{TAKEOVER}/Steps/ActiveClaim+VirtualFunctions.swift", "guard now == 0 else {", "guard now >= 0 else {"),
    Fault(
        "a device that was on vfio before is sent elsewhere", f"{TAKEOVER}/Takeover+Record.swift",
        "driver: binding.driver.map { .named($0) } ?? .none, driverOverride",
        "driver: binding.driver.flatMap { $0.hasPrefix(\"vfio\") ? nil : .named($0) } ?? .none, driverOverride"),
    Fault(
        "a group is adopted that a program uses", f"{TAKEOVER}/Takeover+Record.swift",
        "try await checkUnused(claimed, binding, context)", "_ = checkUnused"),
    Fault(
        "the driver that went away is not loaded again", f"{TAKEOVER}/Steps/ActiveClaim+Restoring.swift",
        "try await loadDriver(driver, of: recorded, context)", ""),
    Fault(
        "the override is not what it was", f"{TAKEOVER}/Steps/ActiveClaim+Restoring.swift",
        "        try await override(member, with: recorded.before.driverOverride, context)\n    }\n\n    /// Unbinds",
        "    }\n\n    /// Unbinds"),
    Fault(
        "a member goes home beside one that somebody has open", f"{TAKEOVER}/Steps/ActiveClaim+Restoring.swift",
        "try await awaitOthers(StepContext(group: group, step: step, number: number))", "_ = number"),
    Fault(
        "a full journal stops the way back", f"{TAKEOVER}/Claim/ActiveClaim.swift",
        "do throws(FileFailure) { try save() } catch { takeover.report(\"claim \\(id): \\(error)\") }",
        "do throws(FileFailure) { try save() } catch { stop() }"),
    Fault(
        "a record of a newer daemon is not read", f"{TAKEOVER}/Journal/Journal+Versions.swift",
        "guard version >= 0 else {", "guard version >= 0, version <= Journal.version else {"),
    Fault(
        "identities do not come back from the journal", f"{TAKEOVER}/Takeover+Recovery.swift",
        "contents.claims.flatMap(\\.groups).map { KnownGroup($0.id, $0.members.map(\\.address)) }",
        "contents.claims.prefix(0).flatMap(\\.groups).map { KnownGroup($0.id, $0.members.map(\\.address)) }"),
]
