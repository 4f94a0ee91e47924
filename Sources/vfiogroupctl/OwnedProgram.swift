// The program that a claim is made for: it inherits what was handed over, and the claim's owner ends with it.

import ArgumentParser
import CLinux
import EventLoop
import Glibc
import GroupAPI
import JSON
import Varlink

/// What was handed over, as a program inherits it.
struct InheritedHandover {
    /// With numbers of descriptors where the daemon's reply has indices.
    private(set) var handover: Claims.Handover
    /// The descriptors.
    private(set) var numbers: [Int32] = []

    /// Takes the descriptors that the handover refers to.
    init(_ handover: Claims.Handover, _ descriptors: ReceivedDescriptors) throws(Complaint) {
        self.handover = handover
        self.handover.iommufd = try takeAny(handover.iommufd, of: descriptors)
        self.handover.container = try takeAny(handover.container, of: descriptors)
        for (number, device) in handover.devices.enumerated() {
            self.handover.devices[number].descriptor = try take(device.descriptor, of: descriptors)
        }
        for (number, group) in handover.groups.enumerated() {
            self.handover.groups[number].descriptor = try take(group.descriptor, of: descriptors)
        }
    }

    private mutating func takeAny(_ index: Int?, of descriptors: ReceivedDescriptors) throws(Complaint) -> Int? {
        guard let index else { return nil }
        return try take(index, of: descriptors)
    }

    private mutating func take(_ index: Int, of descriptors: ReceivedDescriptors) throws(Complaint) -> Int {
        guard let descriptor = descriptors.take(index) else {
            throw Complaint(description: "the daemon's reply speaks of descriptor \(index), which did not come with it")
        }
        let number = descriptor.release()
        numbers.append(number)
        return Int(number)
    }

    /// Its JSON, for the environment.
    var text: String {
        var writer = JSONWriter()
        handover.write(to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Closes our copies: while the owner has some, the daemon cannot give the groups back.
    func close() { for number in numbers { Glibc.close(number) } }
}

/// Runs a command to its end, which inherits what was handed over; its exit code.
@LoopActor
func run(_ command: [String], inheriting inherited: InheritedHandover?) async throws -> Int32 {
    // Ctrl-C and Ctrl-\ reach the command by the terminal; the owner of the claim must outlive it. Caught before the
    // command starts: afterwards it would be too late for the first.
    let signals = try Signals([SIGINT, SIGQUIT, SIGTERM, SIGHUP])
    if let inherited { setenv("VFIOGROUPD_HANDOVER", inherited.text, 1) } else { unsetenv("VFIOGROUPD_HANDOVER") }
    var arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let numbers = inherited?.numbers ?? []
    let pid = clinux_start_program(&arguments, numbers, UInt32(numbers.count))
    inherited?.close()
    guard pid > 0 else {
        complain("\(command.first ?? ""): \(String(cString: strerror(-pid)))")
        // As a shell says it.
        throw ExitCode(pid == -ENOENT ? 127 : 126)
    }
    let process = try ProcessHandle(pid: pid)
    let forwarding = EventLoop.main.spawn {
        while let signal = try? await signals.next() {
            if signal == SIGTERM || signal == SIGHUP { process.signal(signal) }
        }
    }
    defer { forwarding.cancel() }
    switch try await process.ended() {
    case .exited(let code): return code
    case .killed(let signal): return 128 + signal
    case .unknown: return 1
    }
}
