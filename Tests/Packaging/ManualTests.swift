// The pages of the manual beside what they describe.

import Foundation
import Testing
import TestSupport

@Suite struct ManualTests {
    private func lines(of file: String) throws -> [String] {
        try String(contentsOfFile: Program.packageFolder + "/" + file, encoding: .utf8)
            .components(separatedBy: "\n")
    }

    @Test("vfiogroupd.conf(5) describes every section and key of config/vfiogroupd.conf, with its default")
    func configuration() throws {
        let page = try lines(of: "Documentation/vfiogroupd.conf.5")
        var section = ""
        var entries: [String: String] = [:]
        var key = ""
        for line in page {
            let words = line.split(separator: " ")
            if line.hasPrefix(".Ss ["), words.count > 1 {
                section = String(words[1].drop { $0 == "[" }.prefix { $0 != "]" })
                entries[section] = ""
            } else if line.hasPrefix(".It Cm "), line.contains(" Ns = Ns "), words.count > 2 {
                key = section + "." + words[2]
                entries[key] = ""
            } else {
                entries[key, default: ""] += line + "\n"
            }
        }
        var found = 0
        for line in try lines(of: "config/vfiogroupd.conf") {
            let text = line.hasPrefix("#") ? String(line.dropFirst()) : line
            if text.hasPrefix("[") {
                section = String(text.dropFirst().prefix { $0 != "]" && $0 != " " })
                #expect(entries[section] != nil, "section [\(section)]")
            } else if let equals = text.firstIndex(of: "="), text[..<equals].allSatisfy(\.isLetter),
                equals != text.startIndex
            {
                let entry = entries[section + "." + text[..<equals]]
                #expect(entry != nil, "[\(section)] \(text[..<equals])")
                let value = text[text.index(after: equals)...]
                #expect(entry?.contains(value) == true || value.isEmpty, "the default of \(text)")
                found += 1
            }
        }
        #expect(found >= 3)
    }

    @Test("vfiogroupd(8) describes every option of vfiogroupd --help")
    func daemon() async throws {
        let page = try lines(of: "Documentation/vfiogroupd.8").joined(separator: "\n")
        let help = try await Program.run("vfiogroupd", ["--help"]).output
        let options = help.components(separatedBy: "\n").compactMap { line -> String? in
            guard let start = line.range(of: "--"), line[..<start.lowerBound].allSatisfy({ " -h,".contains($0) }) else {
                return nil
            }
            return String(line[start.upperBound...].prefix { $0.isLetter || $0 == "-" })
        }
        #expect(options.count >= 6)
        for option in options { #expect(page.contains("-\(option)"), "--\(option)") }
    }

    @Test("vfiogroupctl(1) describes every command of vfiogroupctl --help")
    func client() async throws {
        let page = try lines(of: "Documentation/vfiogroupctl.1")
        let help = try await Program.run("vfiogroupctl", ["--help"]).output
        let commands = help.components(separatedBy: "SUBCOMMANDS:").last.map { list in
            list.components(separatedBy: "\n").compactMap { line -> String? in
                // Behind the commands stands "See 'vfiogroupctl help'".
                guard line.hasPrefix("  "), line.dropFirst(2).first?.isLowercase == true else { return nil }
                return String(line.dropFirst(2).prefix { $0 != " " })
            }
        }
        #expect((commands ?? []).count >= 15)
        for command in commands ?? [] {
            #expect(page.contains { $0 == ".It Cm \(command)" || $0.hasPrefix(".It Cm \(command) ") }, "\(command)")
        }
    }
}
