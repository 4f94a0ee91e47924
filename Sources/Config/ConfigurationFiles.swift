// Which files make up the configuration, and the reading of them: one main file, then drop-ins in the order of their
// names, found where systemd would find them, so that `systemd-analyze cat-config vfiogroupd/vfiogroupd.conf` shows
// what the daemon reads.

import Glibc

/// Where the configuration lies. Nothing is read before `load`, and every `load` reads anew.
public struct ConfigurationFiles: Sendable {
    /// The main file.
    public enum Main: Sendable, Equatable {
        /// `vfiogroupd/vfiogroupd.conf` of the first of /etc, /run, /usr/local/lib and /usr/lib that has it; with the
        /// drop-ins of all of them. No such file is fine.
        case standard
        /// One file that somebody named, which must be there; with the drop-ins beside it, in `PATH.d`.
        case named(String)
    }

    /// What a load gave.
    public struct Loaded: Sendable, Equatable {
        /// What the files say together.
        public let configuration: Configuration
        /// The files that were read, in the order in which they were applied.
        public let files: [String]

        /// What a load would give.
        public init(configuration: Configuration, files: [String]) {
            self.configuration = configuration
            self.files = files
        }
    }

    /// A file larger than this (in bytes) is refused: it is no configuration, and would only fill the memory.
    public static let largestFile = 1 << 20

    private let root: String
    private let main: Main

    /// - Parameters:
    ///   - root: put before the standard directories; "" for the machine's own.
    ///   - main: which main file.
    public init(root: String = "", main: Main = .standard) {
        self.root = root
        self.main = main
    }

    /// Reads and interprets the files, with the names of users and groups below the same root.
    /// - Throws: `ConfigurationError` with every mistake of every file, those that cannot be read included.
    public func load() throws(ConfigurationError) -> Loaded {
        var texts: [ConfigurationText] = []
        var mistakes: [Mistake] = []
        let (paths, unlisted) = listed()
        mistakes += unlisted
        for path in paths {
            switch readFile(path, limit: Self.largestFile) {
            case .content(let bytes): texts.append(ConfigurationText(file: path, bytes: bytes))
            case .masked: continue
            case .failed(let message): mistakes.append(Mistake(file: path, line: nil, message: message))
            }
        }
        let interpretation = Interpretation(of: texts, Accounts(root: root))
        mistakes += interpretation.mistakes
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
        return Loaded(configuration: interpretation.configuration, files: texts.map(\.file))
    }

    /// The main file if any, then the drop-ins.
    private func listed() -> (paths: [String], mistakes: [Mistake]) {
        var paths: [String] = []
        var mistakes: [Mistake] = []
        var dropInsByName: [String: String] = [:]
        if let path = mainFile() { paths.append(path) }
        for directory in dropInDirectories() {
            switch dropInNames(in: directory) {
            case .names(let names):
                for name in names where dropInsByName[name] == nil { dropInsByName[name] = "\(directory)/\(name)" }
            case .failed(let message):
                mistakes.append(Mistake(file: directory, line: nil, message: message))
            }
        }
        // By bytes, as strcmp does: the order of Swift's strings is Unicode's.
        let sorted = dropInsByName.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return (paths + sorted.map(\.value), mistakes)
    }

    private func mainFile() -> String? {
        switch main {
        case .named(let path): return path
        // lstat: a link to nowhere is a file that cannot be read, not a file that is not there.
        case .standard: return standardFiles.first { exists($0) }
        }
    }

    private func dropInDirectories() -> [String] {
        switch main {
        case .named(let path): return [path + ".d"]
        case .standard: return standardFiles.map { $0 + ".d" }
        }
    }

    /// The highest first: systemd's CONF_PATHS.
    private var standardFiles: [String] {
        ["/etc", "/run", "/usr/local/lib", "/usr/lib"].map { "\(root)\($0)/vfiogroupd/vfiogroupd.conf" }
    }
}
