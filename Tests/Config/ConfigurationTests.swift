// What files mean: values, defaults, order, and every mistake with its place and its remedy.

import Testing

@testable import Config

@Suite("Configuration")
struct ConfigurationTests {
    private func configuration(_ texts: String...) throws -> Configuration {
        try Configuration(reading: texts.enumerated().map { text("\($0.offset).conf", $0.element) })
    }

    private func mistakes(_ texts: String...) -> [String] {
        do {
            _ = try Configuration(reading: texts.enumerated().map { text("\($0.offset).conf", $0.element) })
            return []
        } catch {
            return error.mistakes.map(\.description)
        }
    }

    private func text(_ file: String, _ content: String) -> ConfigurationText {
        ConfigurationText(file: file, bytes: Array(content.utf8))
    }

    @Test("no file at all gives the defaults")
    func defaults() throws {
        let configuration = try configuration()
        #expect(configuration == Configuration())
        #expect(configuration.socket == nil)
        #expect(configuration.backend == .auto)
        #expect(configuration.stateDirectory == nil)
    }

    @Test("every key is taken over")
    func everyKey() throws {
        let configuration = try configuration(
            "[Daemon]\nSocket=/run/x/y\nBackend=host_bridge\nStateDirectory=/srv/a b\n")
        #expect(configuration.socket == "/run/x/y")
        #expect(configuration.backend == .hostBridge)
        #expect(configuration.stateDirectory == "/srv/a b")
    }

    @Test("the last assignment of a key wins, within a file and between files")
    func lastWins() throws {
        #expect(try configuration("[Daemon]\nBackend=kernel\nBackend=host_bridge").backend == .hostBridge)
        #expect(try configuration("[Daemon]\nBackend=kernel", "[Daemon]\nBackend=auto").backend == .auto)
    }

    @Test("an empty assignment gives the default back")
    func reset() throws {
        let configuration = try configuration("[Daemon]\nBackend=kernel\nSocket=/a", "[Daemon]\nBackend=\nSocket= \n")
        #expect(configuration == Configuration())
    }

    @Test("sections and keys that begin with X- are somebody else's")
    func extensions() throws {
        let configuration = try configuration("[X-Mine]\nAny=thing\n[Daemon]\nX-Note=1\nBackend=kernel")
        #expect(configuration.backend == .kernel)
    }

    @Test("a section does not reach into the next file")
    func sectionsEndWithTheFile() {
        #expect(
            mistakes("[Daemon]\n", "Backend=kernel") == [
                "1.conf:1: 'Backend=' stands outside of a section; put it below a line like [Daemon]"
            ]
        )
    }

    @Test("all mistakes of all files are reported, in order")
    func allMistakes() {
        let first = """
            Backend=kernel
            [Daemon]
            Backend=pe
            Sokcet=/a
            nonsense
            =value
            Socket=relative
            [Deamon]
            Backend=hidden by the header
            """
        #expect(
            mistakes(first, "\n\n[Daemon\nSocket=/hidden/too\n[Daemon]\nStateDirectory=/a/../b") == [
                "0.conf:1: 'Backend=' stands outside of a section; put it below a line like [Daemon]",
                "0.conf:3: Backend='pe' is no backend; write one of: auto, kernel, host_bridge, partitionable_endpoint, predicted",
                "0.conf:4: unknown key 'Sokcet=' in [Daemon]; known: Backend=, Socket=, StateDirectory=",
                "0.conf:5: no '=' in 'nonsense'; write Key=Value, or begin the line with # to make it a comment",
                "0.conf:6: no key before '=' in '=value'; write Key=Value",
                "0.conf:7: Socket='relative' is no absolute path; begin it with / and write it without quotes",
                "0.conf:8: unknown section 'Deamon'; known: [Access], [Daemon], [HostBridge pciDDDD:BB], [Limits], "
                    + "[Reservation NAME], [Timing], and names of your own that begin with X-",
                "1.conf:3: '[Daemon' is no section header; write [Name] alone on the line",
                "1.conf:6: StateDirectory='/a/../b' has an empty part, '.' or '..' in it; write the path without them",
            ]
        )
    }

    @Test("a bad value is reported even where a later one would win")
    func shadowedMistake() {
        #expect(mistakes("[Daemon]\nBackend=pe\nBackend=kernel").count == 1)
    }

    @Test(
        "a path that would not serve is refused",
        arguments: ["relative", "\"/quoted\"", "/", "/a//b", "/a/", "/a/./b", "/..", "/a\u{1}b", "@abstract"]
    )
    func badPath(_ path: String) {
        #expect(mistakes("[Daemon]\nSocket=\(path)").count == 1)
    }

    @Test("a socket path may fill a socket address and no more")
    func socketLength() throws {
        let longest = "/" + String(repeating: "s", count: 106)
        #expect(try configuration("[Daemon]\nSocket=\(longest)").socket == longest)
        #expect(
            mistakes("[Daemon]\nSocket=\(longest)s").first?.contains("108 bytes long; use a path of at most 107")
                == true)
    }

    @Test("a message shows control characters instead of sending them, and is not endless")
    func quoting() {
        #expect(mistakes("[Daemon]\n\u{1B}[31m").first?.contains("'\\u{1b}[31m'") == true)
        #expect((mistakes("[Daemon]\n" + String(repeating: "x", count: 5000)).first?.count ?? 0) < 250)
    }
}
