// Who or what a step waits for, in words that name it and say what would end the wait.

import EventLoop
import Grouping
import Host
import Inventory

/// What a step waits for.
enum Wait: Equatable, Sendable {
    /// Somebody else has a member open.
    case others(OthersWait)
    /// A call into the kernel does not return.
    case call(CallWait)

    /// Who has what open, or what does not return, in words.
    var sentence: String {
        switch self {
        case .others(let wait): wait.sentence
        case .call(let wait): wait.sentence
        }
    }

    /// What would end the wait.
    var remedy: String {
        switch self {
        case .others(let wait): wait.remedy
        case .call(let wait): wait.remedy
        }
    }
}

/// A process, in words that lead to it.
struct NamedProcess: Equatable, Sendable {
    var pid: Int32
    /// What it is called.
    var command: String?
    /// The system unit that it runs in.
    var unit: String?

    /// `process 4711 (qemu-system-x86) of vm.service`.
    var text: String { "process \(pid)" + (command.map { " (\($0))" } ?? "") + (unit.map { " of \($0)" } ?? "") }

    /// The command that ends it. A scope, and a user's service manager, hold more than the program: they are not to be stopped
    /// for it.
    var end: String {
        guard let unit, unit.hasSuffix(".service"), !unit.hasPrefix("user@") else { return "kill \(pid)" }
        return "systemctl stop \(unit)"
    }
}

/// Somebody else who has a member open, for whom it is waited.
struct OthersWait: Equatable, Sendable {
    var member: DeviceAddress
    /// The process; nil where nothing in /proc shows who it is.
    var process: NamedProcess?
    /// Whom the device was given to, where that lives and nobody else is seen.
    var owner: NamedProcess?
    /// The claim that has it, and its owner.
    var claim: String?
    /// Why it cannot be found out whether there is anybody.
    var unknown: HostError?

    /// Who has what open, in words.
    var sentence: String {
        if let claim { return "\(member), which would go with it, is in \(claim)" }
        if let unknown { return "who has \(member) open cannot be found out, and is asked again: \(unknown)" }
        if let process { return "\(process.text) has \(member) open" }
        return "\(member) is open in a process that nothing in /proc shows (the descriptor may be in a socket, in "
            + "io_uring, or another namespace's)" + (owner.map { "; it was given to \($0.text)" } ?? "")
    }

    /// What ends it.
    var remedy: String {
        if claim != nil { return "release that claim first" }
        if unknown != nil { return "it is asked again by itself" }
        if let process { return "\(process.end) ends that" }
        let fuser = "fuser -v /dev/vfio/* /dev/vfio/devices/* shows who else may have it"
        guard let owner else { return "end the program that it was given to; \(fuser)" }
        return "\(owner.end) ends that one, what it started may live on; \(fuser)"
    }
}

/// A call that has not returned, and the worker that sits in it.
struct CallWait: Equatable, Sendable {
    /// The device that it is about.
    var member: DeviceAddress?
    /// The driver that does not let go of the device; nil where the call is about something else.
    var driver: String?
    /// The worker.
    var pid: Int32
    /// How long taking groups may take; nil where it is waited without end.
    var limit: Duration?

    /// What does not return, in words.
    var sentence: String {
        let what =
            if let driver {
                "\(driver) does not let go of \(member.map { "\($0)" } ?? "it"), for which process \(pid) waits in the kernel"
            } else {
                "process \(pid) has not come back from the kernel"
            }
        return what + (limit.map { "; taking groups may take \($0.text) (TakeoverTimeoutSec=)" } ?? "")
    }

    /// What would help.
    var remedy: String {
        let look = "cat /proc/\(pid)/stack and the kernel's log tell what it waits for"
        guard let driver else { return look }
        return "end what uses the device through \(driver); \(look)"
    }

    /// Why a claim fails that waited for it for as long as it may, and what would help the next one.
    func failing(after elapsed: Duration) -> (explanation: String, remedy: String) {
        let bound = limit.map { "taking groups may take no longer than \($0.text) (TakeoverTimeoutSec=)" }
        let what =
            if let driver {
                "\(driver) has not let go of it for \(elapsed.text)"
            } else {
                "it has not returned from the kernel for \(elapsed.text)"
            }
        let who = "process \(pid) still waits there, and the device goes back to the host when it returns"
        let raise = driver.map { "if \($0) is only slow, raise TakeoverTimeoutSec= in vfiogroupd.conf; else " }
        return ([what, bound, who].compactMap { $0 }.joined(separator: "; "), (raise ?? "") + remedy)
    }
}

extension KernelCall {
    /// The driver that is to let go of a device.
    var driverToLeave: String? { if case .unbind(_, from: let driver) = self { driver } else { nil } }
}

extension Duration {
    /// `30 s`; with milliseconds below a second.
    var text: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return milliseconds < 1000 ? "\(milliseconds) ms" : "\((milliseconds + 500) / 1000) s"
    }
}

extension ActiveClaim {
    /// Shows what a step waits for; nil for nothing any more.
    func showWait(_ wait: Wait?, _ context: StepContext) {
        guard let work = work[context.group], work[context.number]?.waitsFor != wait else { return }
        work[context.number]?.waitsFor = wait
        takeover.changed()
    }
}
