// What the kernel's answers about addresses and routes come to. No I/O.

import Files
import Glibc

/// The addresses and routes of interfaces, and the ways to servers.
struct RoutingAnswer: Equatable, Sendable {
    var addresses: [InterfaceAddress] = []
    /// By the index of the interface that they lead through.
    var routes: [UInt32: [Route]] = [:]
    /// The interfaces that lead to servers.
    var ways: [InternetAddress: UInt32] = [:]
    /// The interfaces that not all is known of; why, in words.
    var unknown: [UInt32: String] = [:]

    init() {}

    /// Puts together what came back on questions, of which the first had the sequence number 1.
    init(_ questions: [RoutingQuestion], _ messages: [NetlinkMessage]) {
        var hasEnded = [Bool](repeating: false, count: questions.count)
        var wasInterrupted = hasEnded
        for message in messages {
            guard message.sequence >= 1, let index = Int(exactly: message.sequence - 1), index < questions.count else {
                continue
            }
            let question = questions[index]
            if message.flags & NetlinkMessage.interrupted != 0 { wasInterrupted[index] = true }
            if let errno = message.errno ?? message.doneErrno, errno != 0 {
                hasEnded[index] = true
                note(errno, question)
            } else if message.type == NetlinkMessage.done || message.type == NetlinkMessage.error {
                hasEnded[index] = true
            } else {
                take(message, question)
            }
        }
        for (index, question) in questions.enumerated() {
            guard let interface = question.interface else { continue }
            if !hasEnded[index] {
                // It has more than is asked for. What matters is known if anything that matters was among the first.
                unknown[interface] = unknown[interface] ?? "the kernel told of it in part only"
            } else if wasInterrupted[index] {
                unknown[interface] = unknown[interface] ?? "its addresses or routes changed while they were read"
            }
        }
    }

    private mutating func take(_ message: NetlinkMessage, _ question: RoutingQuestion) {
        switch question {
        case .addresses(let interface, _):
            guard message.type == RoutingMessage.newAddress else { return }
            guard let address = InterfaceAddress(message) else { return unreadable(interface) }
            // A kernel that does not pick gives those of others as well.
            if address.interface == interface, !addresses.contains(address) { addresses.append(address) }
        case .routes(let interface, _):
            guard message.type == RoutingMessage.newRoute else { return }
            guard let route = Route(message) else { return unreadable(interface) }
            if routes[interface]?.contains(route) != true { routes[interface, default: []].append(route) }
        case .way(let address):
            if let route = Route(message), let interface = route.interface { ways[address] = interface }
        }
    }

    private mutating func unreadable(_ interface: UInt32) {
        unknown[interface] = "the kernel told of it in a way that is not understood"
    }

    private mutating func note(_ errno: Int32, _ question: RoutingQuestion) {
        // An interface that has gone is not used, a kernel without IPv6 has none of its addresses, and a server that no
        // route leads to is not reached.
        guard let interface = question.interface, errno != ENODEV else { return }
        if question.isAboutIPv6, errno == EOPNOTSUPP || errno == EAFNOSUPPORT { return }
        unknown[interface] = "the kernel does not tell of it: \(errorText(errno))"
    }
}

extension RoutingQuestion {
    /// The interface that it is about.
    var interface: UInt32? {
        switch self {
        case .addresses(let interface, _), .routes(let interface, _): interface
        case .way: nil
        }
    }
}
