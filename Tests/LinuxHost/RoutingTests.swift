// What the kernel's answers about addresses and routes are read as: those that a kernel gave, and bytes of any kind.

import CLinux
import EventLoop
import Foundation
import Glibc
import Testing

@testable import LinuxHost

@Suite("Addresses and routes", .timeLimit(.minutes(5)))
struct RoutingTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// The numbers that record.py gives to e0 and on.
    private static let interfaces = (0..<9).map { UInt32(10 + 2 * $0) }
    private static let servers = ["192.0.2.77", "2001:db8::77"].compactMap { InternetAddress($0) }
    private static let questions = RoutingQuestion.all(interfaces: interfaces, servers: servers)

    private static func recorded() throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return Array(try Data(contentsOf: folder.appendingPathComponent("Fixtures/netlink/routes.bin")))
    }

    private func answer() throws -> RoutingAnswer {
        RoutingAnswer(Self.questions, NetlinkMessage.all(in: try Self.recorded()))
    }

    private func index(_ number: Int) -> UInt32 { Self.interfaces[number] }

    @Test("a kernel without IPv6 is asked about IPv4 alone")
    func withoutIPv6() {
        let questions = RoutingQuestion.all(interfaces: [1, 2], servers: Self.servers, hasIPv6: false)
        #expect(questions.count >= 4 && questions.allSatisfy { !$0.isAboutIPv6 })
    }

    @Test("an interface that is only up has a link-local address and the kernel's own routes")
    func idle() throws {
        let answer = try answer()
        for number in [0, 6] {
            let addresses = answer.addresses.filter { $0.interface == index(number) }
            #expect(addresses.allSatisfy { $0.isOfLink })
            #expect((answer.routes[index(number)] ?? []).allSatisfy { $0.isOfLink })
        }
        #expect(answer.addresses.contains { $0.interface == index(6) && "\($0.prefix)" == "169.254.7.7/16" })
        #expect(answer.addresses.contains { $0.interface == index(0) && $0.prefix.address.isIPv6 })
        #expect(answer.unknown == [:])
    }

    @Test("addresses of both families, and the routes that come with them")
    func addresses() throws {
        let answer = try answer()
        let found = answer.addresses.filter { $0.interface == index(1) && !$0.isOfLink }.map { "\($0.prefix)" }
        #expect(found.sorted() == ["192.0.2.1/24", "2001:db8::1/64"])
        #expect(answer.routes[index(1)]?.contains { $0.isOfKernel && !$0.isOfLink } == true)
    }

    @Test(
        "routes of other tables, of several paths, through nexthop objects, and those that a router announced",
        arguments: [
            (2, "198.51.100.0/24 of table 100"), (3, "default"), (4, "default"), (5, "203.0.113.0/24"),
            (5, "2001:db8:5::/48"), (8, "default"),
        ])
    func routes(number: Int, text: String) throws {
        let routes = try answer().routes[index(number)] ?? []
        #expect(routes.contains { $0.text == text && !$0.isOfLink && !$0.isOfKernel }, "\(routes)")
        // Nothing of another interface is taken for one of this.
        #expect(routes.filter { !$0.isOfKernel }.count == (number == 5 ? 2 : 1))
    }

    @Test("the ways to servers")
    func ways() throws {
        #expect(try answer().ways == Dictionary(uniqueKeysWithValues: Self.servers.map { ($0, index(1)) }))
    }

    @Test("an interface that has gone is not used, and a question that was not understood is unknown")
    func failures() throws {
        // The last three questions of the recording: two about an interface that is not there, one that makes no sense.
        let questions =
            Self.questions
            + [.routes(interface: 99, isIPv6: false), .routes(interface: 99, isIPv6: true)]
            + [.routes(interface: 10, isIPv6: false)]
        let answer = RoutingAnswer(questions, NetlinkMessage.all(in: try Self.recorded()))
        #expect(answer.unknown.keys.sorted() == [10])
        #expect(answer.routes[99] == nil)
    }

    @Test("what is cut off anywhere reads as unknown, or as what came before; and nothing traps")
    func cutOff() throws {
        let bytes = try Self.recorded()
        let whole = try answer()
        for length in 0..<bytes.count {
            let answer = RoutingAnswer(Self.questions, NetlinkMessage.all(in: Array(bytes.prefix(length))))
            for interface in Self.interfaces where answer.unknown[interface] == nil {
                #expect(answer.routes[interface] == whole.routes[interface])
                #expect(
                    answer.addresses.filter { $0.interface == interface }
                        == whole.addresses.filter { $0.interface == interface })
            }
        }
    }

    @Test("bytes that were changed anyhow are read to an end")
    func garbled() throws {
        let bytes = try Self.recorded()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = RoutingAnswer(Self.questions, NetlinkMessage.all(in: changed))
        }
        for count in 0..<200 {
            _ = NetlinkMessage.all(in: (0..<count).map { _ in UInt8.random(in: 0...4, using: &random) })
        }
    }

    @Test("a dump that changed meanwhile is unknown")
    func interrupted() {
        var message = NetlinkMessage(type: NetlinkMessage.done, flags: 0x12, sequence: 1, body: [0, 0, 0, 0])
        let question = RoutingQuestion.routes(interface: 5, isIPv6: false)
        #expect(RoutingAnswer([question], [message]).unknown[5] != nil)
        message.flags = 2
        #expect(RoutingAnswer([question], [message]).unknown == [:])
        #expect(NetlinkMessage.all(in: message.bytes) == [message])
    }

    @Test("a kernel without IPv6 has no addresses of it")
    func noIPv6() {
        var body: [UInt8] = []
        body.add(UInt32(bitPattern: -EAFNOSUPPORT))
        let error = NetlinkMessage(type: NetlinkMessage.error, sequence: 1, body: body)
        #expect(RoutingAnswer([.routes(interface: 5, isIPv6: true)], [error]).unknown == [:])
        #expect(RoutingAnswer([.routes(interface: 5, isIPv6: false)], [error]).unknown[5] != nil)
    }

    @Test("addresses in words, and back")
    func words() {
        for text in [
            "192.0.2.1", "::", "::1", "fe80::1", "2001:db8::1:0:0:1", "1:2:3:4:5:6:7:8", "2001:db8:0:1:1:1:1:1",
        ] {
            #expect(InternetAddress(text).map { "\($0)" } == text)
        }
        #expect(InternetAddress("[2001:DB8::77]").map { "\($0)" } == "2001:db8::77")
        #expect(InternetAddress("::ffff:192.0.2.1").map { "\($0)" } == "::ffff:c000:201")
        #expect(InternetAddress("fe80::1%eth0")?.isLinkLocal == true)
        for text in [
            "", "host", "1.2.3", "1.2.3.256", "1::2::3", ":1", "1:", "1:2", "12345::", "1:2:3:4:5:6:7:8:9", ":::",
        ] {
            #expect(InternetAddress(text) == nil, "\(text)")
        }
    }

    @Test("the kernel of this machine answers, and lo has its address")
    @LoopActor func kernel() async throws {
        let questions = RoutingQuestion.all(interfaces: [1], servers: [])
        let reading = await RoutingReader(deadline: .seconds(60)).read(RoutingQuestion.bytes(of: questions))
        guard case .bytes(let bytes) = reading else {
            Issue.record("\(reading)")
            return
        }
        let answer = RoutingAnswer(questions, NetlinkMessage.all(in: bytes))
        #expect(answer.unknown == [:])
        #expect(answer.addresses.contains { "\($0.prefix)" == "127.0.0.1/8" && $0.isOfLink })
    }

    @Test("a kernel that holds its lock is waited for as long as was said, and asked no more before it lets go")
    @LoopActor func late() async throws {
        let reader = RoutingReader(deadline: .milliseconds(50))
        let pid = clinux_start_stand_in()
        try #require(pid > 0)
        var writing: Int32 = -1
        reader.start = { _ in
            var ends: [Int32] = [-1, -1]
            _ = pipe(&ends)
            _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
            writing = ends[1]
            return (pid, ends[0])
        }
        // Whom no signal ends.
        reader.kill = { _ in }
        #expect(await reader.read([]) == .late)
        #expect(reader.stuck == pid)
        close(writing)
        reader.start = { _ in (-EPERM, -1) }
        #expect(await reader.read([]) == .late)
        _ = clinux_kill_worker(pid)
        #expect(await waits { hasEnded(pid) })
        #expect(await reader.read([]) == .failed(errno: EPERM))
        #expect(reader.stuck == nil)
    }

    /// Whether a child has ended, without reaping it.
    private func hasEnded(_ pid: Int32) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
    }
}
