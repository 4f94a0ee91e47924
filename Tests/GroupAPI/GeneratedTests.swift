// The Swift types are made from the IDL, which is the contract.

import Foundation
import GroupAPI
import TestSupport
import Testing
import Varlink

@Suite("The generated types", .timeLimit(.minutes(15)))
struct GeneratedTests {
    private var folder: URL {
        URL(fileURLWithPath: Program.packageFolder + "/Sources/GroupAPI")
    }

    private var definitions: [URL] {
        get throws {
            try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                .filter { $0.pathExtension == "varlink" }
        }
    }

    @Test("are current")
    func current() async throws {
        let arguments = try definitions.map(\.path) + ["--check", folder.appendingPathComponent("Generated").path]
        let outcome = try await Program.run("varlink-generate", arguments)
        #expect(outcome.code == 0, "make generate brings them up to date: \(outcome.errors)")
    }

    @Test("of the journal are current too")
    func journal() async throws {
        let folder = Program.packageFolder + "/Sources/Takeover/Journal"
        let outcome = try await Program.run(
            "varlink-generate", [folder + "/Journal.varlink", "--full-grammar", "--check", folder + "/Generated"])
        #expect(outcome.code == 0, "make generate brings them up to date: \(outcome.errors)")
    }

    @Test("carry the definition as it is written")
    func descriptions() throws {
        for (name, interface) in [
            ("Claims", Claims.interface), ("Groups", Groups.interface), ("Manager", Manager.interface),
            ("Simulation", Simulation.interface),
        ] {
            let file = folder.appendingPathComponent("io.vfiogroupd.\(name).varlink")
            #expect(try String(contentsOf: file, encoding: .utf8) == interface.description)
            #expect(interface.name == "io.vfiogroupd.\(name)")
        }
    }

    @Test("every field, method and error is explained")
    func comments() throws {
        for file in try definitions {
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            for (number, line) in lines.enumerated().dropFirst() {
                let text = line.trimmingCharacters(in: .whitespaces)
                let isDeclaration =
                    line.hasPrefix("  ") && !text.hasPrefix("#") && !text.hasPrefix(")")
                    || ["type ", "method ", "error "].contains { text.hasPrefix($0) }
                if isDeclaration {
                    let above = lines[number - 1].trimmingCharacters(in: .whitespaces)
                    #expect(above.hasPrefix("#"), "\(file.lastPathComponent):\(number + 1): \(text)")
                }
            }
        }
    }
}
