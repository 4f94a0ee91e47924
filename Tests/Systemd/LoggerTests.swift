// What is said where, and that saying it never holds up the daemon. A datagram socket stands in for journald, a pipe
// for stderr.

import Foundation
import Testing

@testable import Systemd

@Suite("Logger", .timeLimit(.minutes(15)))
struct LoggerTests {
    private func entry(_ level: LogLevel, _ message: String, _ fields: KeyValuePairs<String, String> = [:]) -> LogEntry
    {
        LogEntry(level: level, message: message, fields: fields, identifier: "vfiogroupd")
    }

    @Test("an entry reaches the journal with its level and its fields")
    func journalEntry() throws {
        let journald = try LocalSocket(SOCK_DGRAM)
        let logger = try Logger(sink: .journal(#require(JournalSocket(path: journald.path))))
        logger.notice("claimed", fields: ["GROUP": "pci0000-00", "CLIENT_UID": "0"])
        #expect(
            journald.received()
                == "PRIORITY=5\nSYSLOG_IDENTIFIER=vfiogroupd\nMESSAGE=claimed\nGROUP=pci0000-00\nCLIENT_UID=0\n"
        )
    }

    @Test("a value with a line break is sent with its length, and cannot become a field")
    func journalLineBreak() {
        let expected =
            Array("PRIORITY=3\nSYSLOG_IDENTIFIER=vfiogroupd\nMESSAGE\n".utf8)
            + [14, 0, 0, 0, 0, 0, 0, 0] + Array("a\nPRIORITY=0\nb\n".utf8)
        #expect(entry(.error, "a\nPRIORITY=0\nb").datagram == expected)
    }

    @Test(
        "a field that journald would not take is left out",
        arguments: ["", "_PID", "1A", "group", "A B", "A=B", "\u{c4}", String(repeating: "A", count: 65)]
    )
    func badFieldName(_ name: String) {
        #expect(entry(.info, "m", [name: "v"]).datagram == entry(.info, "m").datagram)
    }

    @Test("a journal that does not keep up costs messages, not time, and the loss is told")
    func journalFull() throws {
        let journald = try LocalSocket(SOCK_DGRAM)
        let journal = try #require(JournalSocket(path: journald.path))
        var sent = 0
        while journal.send(entry(.info, "filler")) == .sent { sent += 1 }
        #expect(journal.send(entry(.info, "one more")) == .dropped)

        for _ in 0..<sent { #expect(journald.received()?.contains("MESSAGE=filler\n") == true) }
        #expect(journal.send(entry(.info, "after")) == .sent)
        #expect(journald.received()?.contains("MESSAGE=2 messages were lost") == true)
        #expect(journald.received()?.contains("MESSAGE=after\n") == true)
        #expect(journal.send(entry(.info, "later")) == .sent)
        #expect(journald.received()?.contains("MESSAGE=later\n") == true)
    }

    @Test("a journal that is not there is noticed")
    func journalGone() throws {
        #expect(JournalSocket(path: "/nonexistent/journal")?.send(entry(.info, "m")) == .unreachable)
        #expect(JournalSocket(path: String(repeating: "x", count: 108)) == nil)
    }

    @Test("a huge message is cut to what a datagram holds")
    func hugeMessage() throws {
        let journald = try LocalSocket(SOCK_DGRAM)
        let journal = try #require(JournalSocket(path: journald.path))
        #expect(journal.send(entry(.info, String(repeating: "m", count: 1 << 20))) == .sent)
        #expect((journald.receivedBytes()?.count ?? 0) > LogEntry.longestValue)
    }

    @Test("lines carry the program, and the level where it matters")
    func lines() throws {
        let pipe = Pipe()
        let logger = Logger(sink: .lines(descriptor: pipe.fileHandleForWriting.fileDescriptor), threshold: .debug)
        logger.info("listening", fields: ["SOCKET": "/run/x"])
        logger.notice("started")
        logger.warning("slow")
        logger.error("failed")
        logger.debug("detail")
        #expect(
            String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self) == """
                vfiogroupd: listening
                vfiogroupd: started
                vfiogroupd: warning: slow
                vfiogroupd: error: failed
                vfiogroupd: debug: detail

                """
        )
    }

    @Test("a line for the journal's stream begins with its priority")
    func journalStreamLine() {
        #expect(String(decoding: entry(.warning, "slow").journalStreamLine, as: UTF8.self) == "<4>vfiogroupd: slow\n")
    }

    @Test("a message stays one line of text, whatever a client put into it")
    func lineInjection() {
        let line = String(decoding: entry(.info, "a\n<0>b\u{1B}[2J").line, as: UTF8.self)
        #expect(line == "vfiogroupd: a\\n<0>b\\u{1B}[2J\n")
    }

    @Test("a line is cut to what a pipe takes at once, between characters")
    func longLine() {
        let line = entry(.info, String(repeating: "\u{20AC}", count: 5000)).line
        #expect(line.count > 4090 && line.count <= 4096)
        #expect(String(validating: line, as: UTF8.self)?.hasSuffix("\u{20AC}\n") == true)
    }

    @Test("what matters less than the threshold is not even made")
    func threshold() {
        let pipe = Pipe()
        let logger = Logger(sink: .lines(descriptor: pipe.fileHandleForWriting.fileDescriptor), threshold: .warning)
        var made = 0
        func message() -> String {
            made += 1
            return "m"
        }
        logger.info(message())
        logger.warning(message())
        #expect(made == 1)
    }

    @Test("a full pipe and a closed one neither hold up nor end the process")
    func stuckStandardError() throws {
        let pipe = Pipe()
        let logger = Logger(sink: .lines(descriptor: pipe.fileHandleForWriting.fileDescriptor))
        for _ in 0..<200 { logger.info(String(repeating: "x", count: 4000)) }
        try pipe.fileHandleForReading.close()
        logger.info("nobody reads this")
    }

    @Test("JOURNAL_STREAM counts only for the descriptor that it names")
    func journalStream() {
        #expect(JournalStream(nil) == nil)
        for text in ["", "1", "1:", ":1", "1:2:3", "a:b", "-1:2", "1:99999999999999999999999"] {
            #expect(JournalStream(text) == nil, "\(text)")
        }
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        var status = stat()
        fstat(descriptor, &status)
        #expect(JournalStream("\(status.st_dev):\(status.st_ino)")?.isOpen(as: descriptor) == true)
        #expect(JournalStream("\(status.st_dev):\(status.st_ino + 1)")?.isOpen(as: descriptor) == false)
        #expect(JournalStream("1:2")?.isOpen(as: -1) == false)
    }

    @Test("a logger outside of the journal writes to stderr although JOURNAL_STREAM was inherited")
    func inheritedJournalStream() async throws {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            setenv("JOURNAL_STREAM", "1:2", 1)
            Logger().warning("here")
        }
        let said = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(said.contains("vfiogroupd: warning: here\n"))
    }
}
