import Foundation
import Testing
import TestSupport
import Varlink

@testable import varlink_generate

@Suite("varlink-generate", .timeLimit(.minutes(15)))
struct GeneratorTests {
    private struct Generated {
        let source: String
        let folder: String
        let options: [String]
    }

    private let root = Program.packageFolder + "/"

    /// The generated files that this repository keeps.
    private static let kept = [
        Generated(
            source: "Sources/Varlink/Service/org.varlink.service.varlink", folder: "Sources/Varlink/Service",
            options: ["--name", "org.varlink.service=VarlinkService", "--within-varlink"]),
        Generated(
            source: "Tests/Varlink/Support/org.example.test.varlink", folder: "Tests/Varlink/Support",
            options: ["--name", "org.example.test=Example"]),
        Generated(
            source: "Tests/Support/varlink-certification/org.varlink.certification.varlink",
            folder: "Tests/Support/varlink-certification", options: ["--full-grammar"]),
    ]

    @Test("The generated files in the repository are what is generated from their definitions")
    func current() async throws {
        for file in Self.kept {
            let result = try await Program.run(
                "varlink-generate", [root + file.source, "--check", root + file.folder] + file.options)
            #expect(result.code == 0, "\(result.errors)")
        }
    }

    @Test("A stale file is named, a missing one too; generating makes them current")
    func stale() async throws {
        let folder = "/tmp/varlink-generate-test-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let input = root + "Tests/Varlink/Support/org.example.test.varlink"
        let output = "\(folder)/org.example.test.swift"
        let missing = try await Program.run("varlink-generate", [input, "--check", folder])
        #expect(missing.code == 1)
        #expect(missing.errors.contains(output))
        #expect(try await Program.run("varlink-generate", [input, "--output", folder]).code == 0)
        #expect(try await Program.run("varlink-generate", [input, "--check", folder]).code == 0)
        try ("// changed\n" + String(contentsOfFile: output, encoding: .utf8)).write(
            toFile: output, atomically: true, encoding: .utf8)
        #expect(try await Program.run("varlink-generate", [input, "--check", folder]).code == 1)
    }

    @Test("Wrong usage and wrong input are told and exit with 2")
    func wrong() async throws {
        #expect(try await Program.run("varlink-generate", []).code == 2)
        #expect(try await Program.run("varlink-generate", ["x.varlink"]).code == 2)
        #expect(try await Program.run("varlink-generate", ["x.varlink", "--output"]).code == 2)
        let absent = try await Program.run("varlink-generate", ["/none.varlink", "--output", "/tmp"])
        #expect(absent.code == 2)
        #expect(absent.errors == "open /none.varlink: No such file or directory\n")
    }

    @Test("Names become Swift's, and keywords and hidden types are avoided")
    func names() {
        #expect(memberName("client_id") == "clientId")
        #expect(memberName("default") == "`default`")
        #expect(memberName("self") == "self_")
        #expect(memberName("NoSuchGroup") == "noSuchGroup")
        #expect(memberName("IOError") == "ioError")
        #expect(memberName("IO") == "io")
        #expect(nestedTypeName("first_part", avoiding: []) == "FirstPart")
        #expect(nestedTypeName("string", avoiding: []) == "StringValue")
        #expect(nestedTypeName("level", avoiding: ["Level"]) == "LevelValue")
        #expect(namespaceName("io.vfiogroupd.Groups") == "Groups")
    }

    @Test("The description is served as it was written, whatever is in it")
    func description() throws {
        let text = "# \"\"\"# and \\#(x) and \"\"\"## end \\\ninterface a.b\nmethod M() -> ()"
        let definition = try InterfaceDefinition(parsing: text, file: "a.b.varlink")
        var emitter = SwiftEmitter(definition, description: text, file: "a.b.varlink")
        let source = emitter.emit()
        #expect(source.contains("description: ###\"\"\""))
        #expect(source.contains("# \"\"\"# and \\#(x) and \"\"\"## end \\\n"))
    }
}
