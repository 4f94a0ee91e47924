// What the statements of all files mean together: later files and lines win, as in systemd, and nothing is passed over
// in silence.

extension Configuration {
    /// The configuration that some files give.
    /// - Parameter texts: the files, the one that yields to all others first.
    /// - Throws: `ConfigurationError` with every mistake of every file.
    public init(reading texts: [ConfigurationText]) throws(ConfigurationError) {
        let interpretation = Interpretation(of: texts)
        guard interpretation.mistakes.isEmpty else { throw ConfigurationError(mistakes: interpretation.mistakes) }
        self = interpretation.configuration
    }
}

/// A configuration as far as it could be understood, and what could not.
struct Interpretation {
    private(set) var configuration = Configuration()
    private(set) var mistakes: [Mistake] = []

    init(of texts: [ConfigurationText]) {
        for text in texts {
            let parsed = ParsedText(text)
            var found = parsed.mistakes
            var place = Place.outside
            for statement in parsed.statements {
                if let message = take(statement.kind, &place) {
                    found.append(Mistake(file: text.file, line: statement.line, message: message))
                }
            }
            mistakes += found.sorted { ($0.line ?? 0) < ($1.line ?? 0) }
        }
    }

    /// Where in a file an assignment stands.
    private enum Place {
        case outside
        case section(String)
        /// Below a header that was reported, or in a section that is somebody else's.
        case ignored
    }

    private mutating func take(_ statement: Statement.Kind, _ place: inout Place) -> String? {
        switch statement {
        case .brokenSection:
            place = .ignored
            return nil
        case .section(let name):
            return enter(name, &place)
        case .assignment(let key, let value):
            switch place {
            case .ignored: return nil
            case .outside: return "\(quoted(key + "=")) stands outside of a section; put it below a line like [Daemon]"
            case .section(let section): return assign(key, value, in: section)
            }
        }
    }

    private func enter(_ name: String, _ place: inout Place) -> String? {
        let known = Set(Key.all.map(\.section))
        if known.contains(name) {
            place = .section(name)
            return nil
        }
        place = .ignored
        if isExtension(name) { return nil }
        let names = known.sorted().map { "[\($0)]" }.joined(separator: ", ")
        return "unknown section \(quoted(name)); known: \(names), and names of your own that begin with X-"
    }

    private mutating func assign(_ name: String, _ value: String, in section: String) -> String? {
        if isExtension(name) { return nil }
        let keys = Key.all.filter { $0.section == section }
        guard let key = keys.first(where: { $0.name == name }) else {
            let names = keys.map { $0.name + "=" }.joined(separator: ", ")
            return "unknown key \(quoted(name + "=")) in [\(section)]; known: \(names)"
        }
        return key.assign(value, &configuration)
    }
}

/// systemd leaves sections and keys that begin with `X-` to others, systemd.unit(5).
private func isExtension(_ name: String) -> Bool { name.hasPrefix("X-") }
