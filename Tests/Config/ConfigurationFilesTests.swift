// Which files count, in a temporary folder that stands for the root of a machine.

import Foundation
import Testing

@testable import Config

@Suite("Configuration files")
final class ConfigurationFilesTests {
    private let root = FileManager.default.temporaryDirectory.appending(path: "config-\(UUID().uuidString)").path()

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private let main = "/etc/vfiogroupd/vfiogroupd.conf"

    private func path(_ path: String) throws -> String {
        let whole = root + path
        try FileManager.default.createDirectory(
            atPath: (whole as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        return whole
    }

    private func write(_ name: String, _ content: String) throws {
        try Data(content.utf8).write(to: URL(filePath: path(name)))
    }

    private func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path(name), withDestinationPath: target)
    }

    private func load(_ main: ConfigurationFiles.Main = .standard) throws -> ConfigurationFiles.Loaded {
        try ConfigurationFiles(root: root, main: main).load()
    }

    private func mistakes(_ main: ConfigurationFiles.Main = .standard) -> [String] {
        do {
            _ = try ConfigurationFiles(root: root, main: main).load()
            return []
        } catch {
            return error.mistakes.map { $0.description.replacing(root, with: "") }
        }
    }

    private func applied() throws -> [String] { try load().files.map { $0.replacing(root, with: "") } }

    @Test("a machine without files has the defaults")
    func nothing() throws {
        #expect(try load() == ConfigurationFiles.Loaded(configuration: Configuration(), files: []))
    }

    @Test("the main file is read, then the drop-ins of all directories by name")
    func order() throws {
        try write(main, "[Daemon]\nBackend=kernel\nSocket=/main\nStateDirectory=/main\n")
        try write("/usr/lib/vfiogroupd/vfiogroupd.conf.d/50-b.conf", "[Daemon]\nSocket=/b\nBackend=host_bridge\n")
        try write("/etc/vfiogroupd/vfiogroupd.conf.d/10-a.conf", "[Daemon]\nSocket=/a\n")
        try write("/run/vfiogroupd/vfiogroupd.conf.d/90-c.conf", "[Daemon]\nBackend=\n")
        #expect(
            try applied() == [
                main, "/etc/vfiogroupd/vfiogroupd.conf.d/10-a.conf", "/usr/lib/vfiogroupd/vfiogroupd.conf.d/50-b.conf",
                "/run/vfiogroupd/vfiogroupd.conf.d/90-c.conf",
            ]
        )
        let configuration = try load().configuration
        #expect(configuration.socket == "/b")
        #expect(configuration.backend == .auto)
        #expect(configuration.stateDirectory == "/main")
    }

    @Test("a main file of a higher directory hides those below, as in systemd-analyze cat-config")
    func mainFiles() throws {
        try write("/usr/lib/vfiogroupd/vfiogroupd.conf", "[Daemon]\nBackend=kernel\n")
        #expect(try load().configuration.backend == .kernel)
        try write(main, "")
        #expect(try load().configuration.backend == .auto)
    }

    @Test("a drop-in masks those of the same name in lower directories")
    func masking() throws {
        try write("/usr/lib/vfiogroupd/vfiogroupd.conf.d/50.conf", "[Daemon]\nBackend=kernel\n")
        try write("/run/vfiogroupd/vfiogroupd.conf.d/50.conf", "[Daemon]\nBackend=host_bridge\n")
        #expect(try load().configuration.backend == .hostBridge)
        try link("/etc/vfiogroupd/vfiogroupd.conf.d/50.conf", to: "/dev/null")
        #expect(try load().configuration.backend == .auto)
        #expect(try applied() == [])
    }

    @Test("only visible names that end in .conf are drop-ins")
    func dropInNames() throws {
        for name in ["a.conf~", "b.conf.dpkg-new", ".c.conf", "README"] {
            try write("/etc/vfiogroupd/vfiogroupd.conf.d/\(name)", "nonsense")
        }
        #expect(try applied() == [])
    }

    @Test("a main file that somebody named must be there, and brings its own drop-ins only")
    func named() throws {
        try write(main, "nonsense")
        #expect(mistakes(.named(root + "/my.conf")).first?.hasPrefix("/my.conf: cannot be opened: ") == true)
        try write("/my.conf", "[Daemon]\nBackend=kernel\n")
        try write("/my.conf.d/1.conf", "[Daemon]\nSocket=/one\n")
        let configuration = try load(.named(root + "/my.conf")).configuration
        #expect(configuration.backend == .kernel)
        #expect(configuration.socket == "/one")
    }

    @Test("what is no readable file is named, together with the mistakes of the others", .timeLimit(.minutes(15)))
    func unreadable() throws {
        let dropIns = "/etc/vfiogroupd/vfiogroupd.conf.d"
        try write(main, "[Daemon]\nBackend=pe\n")
        try FileManager.default.createDirectory(atPath: path("\(dropIns)/1.conf/x"), withIntermediateDirectories: true)
        try #require(mkfifo(path("\(dropIns)/2.conf"), 0o600) == 0)
        try link("\(dropIns)/3.conf", to: "/nowhere/at/all")
        try link("\(dropIns)/4.conf", to: "4.conf")
        try write("\(dropIns)/5.conf", String(repeating: "#", count: ConfigurationFiles.largestFile + 1))
        #expect(
            mistakes() == [
                "\(dropIns)/1.conf: is a directory; put a file in its place or remove it",
                "\(dropIns)/2.conf: is no regular file; put a file in its place or remove it",
                "\(dropIns)/3.conf: cannot be opened: No such file or directory; create it, or remove what points to it",
                "\(dropIns)/4.conf: cannot be opened: Too many levels of symbolic links; create it, "
                    + "or remove what points to it",
                "\(dropIns)/5.conf: is larger than 1024 KiB, too large for a configuration file; shorten it",
                "\(main):2: Backend='pe' is no backend; write one of: auto, kernel, host_bridge, partitionable_endpoint, predicted",
            ]
        )
    }

    @Test("a file of exactly the limit is read")
    func limit() throws {
        try write(main, String(repeating: "#", count: ConfigurationFiles.largestFile))
        #expect(try applied() == [main])
    }

    @Test("a drop-in directory that is none is named")
    func directoryThatIsNone() throws {
        try write("/run/vfiogroupd/vfiogroupd.conf.d", "")
        #expect(mistakes() == ["/run/vfiogroupd/vfiogroupd.conf.d: cannot be listed: Not a directory"])
    }

    @Test("a load reads anew")
    func reload() throws {
        let files = ConfigurationFiles(root: root)
        try write(main, "[Daemon]\nBackend=kernel\n")
        #expect(try files.load().configuration.backend == .kernel)
        try write(main, "[Daemon]\nBackend=host_bridge\n")
        #expect(try files.load().configuration.backend == .hostBridge)
    }
}
