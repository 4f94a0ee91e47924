// Every kind of message has an identity of its own, and an entry in the catalog that journalctl can use.

import Foundation
import Testing

@testable import Systemd

@Suite("Kinds of messages")
struct MessageKindTests {
    private static let catalog =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path + "/systemd/vfiogroupd.catalog"

    @Test("every kind has its own 128 bits")
    func identities() {
        #expect(Set(MessageKind.allCases.map(\.id)).count == MessageKind.allCases.count)
        for kind in MessageKind.allCases {
            #expect(kind.id.utf8.count == 32 && kind.id.allSatisfy { $0.isHexDigit && !$0.isUppercase }, "\(kind)")
        }
    }

    @Test("the catalog has one entry for each kind, and names only fields that messages have")
    func entries() throws {
        let text = try String(contentsOfFile: Self.catalog, encoding: .utf8)
        let entries = text.components(separatedBy: "\n-- ").dropFirst()
        #expect(entries.map { String($0.prefix(32)) }.sorted() == MessageKind.allCases.map(\.id).sorted())
        let fields = JournalMessage.Name.allCases.map(\.rawValue)
        for entry in entries {
            let parts = entry.components(separatedBy: "\n\n")
            #expect(
                parts.count > 1 && parts[0].contains("\nSubject: ") && parts[0].contains("\nDefined-By: vfiogroupd"))
            for (index, word) in entry.components(separatedBy: "@").enumerated() where index % 2 == 1 {
                #expect(fields.contains(word), "@\(word)@")
            }
        }
    }

    @Test("journalctl takes the catalog")
    func journalctl() throws {
        let tool = "/usr/bin/journalctl"
        guard FileManager.default.isExecutableFile(atPath: tool) else {
            print("SKIPPED: the catalog in journalctl, because \(tool) is not there (package systemd)")
            return
        }
        let root = FileManager.default.temporaryDirectory.path + "/vfiogroupd-catalog-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        let folder = root + "/usr/lib/systemd/catalog"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: root + "/var/lib/systemd/catalog", withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Self.catalog, toPath: folder + "/vfiogroupd.catalog")
        func run(_ arguments: String...) throws -> String {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: tool)
            process.arguments = ["--root=\(root)"] + arguments
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: output, as: UTF8.self)
        }
        #expect(try run("--update-catalog").isEmpty)
        let listed = try run("--list-catalog")
        for kind in MessageKind.allCases { #expect(listed.contains("\(kind.id) vfiogroupd: "), "\(kind)") }
    }

    @Test("a message of a kind reaches the journal with its identity and all of its fields")
    func message() throws {
        let journald = try LocalSocket(SOCK_DGRAM)
        let logger = try Logger(sink: .journal(#require(JournalSocket(path: journald.path))))
        logger.log(
            JournalMessage(
                .claimGranted, "granted", [.init(.claim, "claim-1"), .init(.group, "a"), .init(.group, "b")]))
        #expect(
            journald.received()
                == "PRIORITY=5\nSYSLOG_IDENTIFIER=vfiogroupd\nMESSAGE=granted\nMESSAGE_ID=\(MessageKind.claimGranted.id)\n"
                + "CLAIM=claim-1\nGROUP=a\nGROUP=b\n")
    }
}
