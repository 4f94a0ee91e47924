// Folders that tests write to, gone when the test is.

import Foundation

/// A fresh folder below the temporary directory, removed with this object.
public final class TemporaryFolder: Sendable {
    public let path: String

    /// - Parameters:
    ///   - name: how its name begins.
    ///   - inMemory: below /dev/shm where there is one, as what lies in /run on a host: for tests that write very much.
    ///   - parent: the folder that it lies in, instead of the temporary directory.
    public init(_ name: String = "vfiogroupd-test", inMemory: Bool = false, below parent: String? = nil) {
        let memory = "/dev/shm/"
        let temporary = inMemory && access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
        path = (parent.map { $0 + "/" } ?? temporary) + "\(name)-\(UUID().uuidString.prefix(8))"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and the folders above it.
    public func write(_ file: String, _ content: [UInt8]) {
        let url = URL(fileURLWithPath: path + "/" + file)
        try? FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? Data(content).write(to: url)
    }

    public func write(_ file: String, _ content: String) { write(file, Array(content.utf8)) }

    /// The text of a file; nil where there is none.
    public func read(_ file: String) -> String? { try? String(contentsOfFile: path + "/" + file, encoding: .utf8) }

    public func makeFolder(_ folder: String) {
        try? FileManager.default.createDirectory(
            atPath: path + "/" + folder, withIntermediateDirectories: true)
    }

    public func link(_ file: String, to target: String) {
        let url = URL(fileURLWithPath: path + "/" + file)
        try? FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        symlink(target, url.path)
    }

    public func remove(_ file: String) { try? FileManager.default.removeItem(atPath: path + "/" + file) }
}
