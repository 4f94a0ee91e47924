// Reading the configuration, and what can be answered from it alone.

import Config
import Files
import Glibc
import Systemd

extension Daemon {
    /// The files that count: those that were named, or the standard ones.
    var configurationFiles: ConfigurationFiles {
        options.configuration.map { ConfigurationFiles(main: .named($0)) } ?? ConfigurationFiles()
    }

    /// The configuration of the start.
    func readConfiguration() throws(Failure) -> Configuration {
        // A simulation is not what the host's configuration is about.
        if options.simulate != nil, options.configuration == nil { return Configuration() }
        do throws(ConfigurationError) { return try configurationFiles.load().configuration } catch {
            for mistake in error.mistakes { log.error("\(mistake)") }
            throw Failure(message: "the configuration has mistakes; correct them and start again")
        }
    }

    /// Does what needs nothing but the configuration; nil when more is asked for. No host is read, no signal caught.
    func answerFromConfiguration() -> Int32? {
        guard options.mode == .checkConfiguration || options.mode == .printReservations else { return nil }
        do throws(ConfigurationError) {
            let loaded = try configurationFiles.load()
            guard options.mode == .checkConfiguration else {
                return printOut(loaded.configuration.reservations.map { $0.line + "\n" }.joined())
            }
            let files = loaded.files.isEmpty ? "no file is there" : loaded.files.joined(separator: ", ")
            return printOut("the configuration has no mistakes (\(files))\n")
        } catch {
            _ = write("\(error)\n", to: STDERR_FILENO)
            return 1
        }
    }

    /// Prints all of a text on stdout; the exit code.
    func printOut(_ text: String) -> Int32 {
        Array(text.utf8).withUnsafeBytes { printOut($0) }
    }

    /// Prints bytes on stdout; the exit code.
    func printOut(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        let errno = write(bytes, to: STDOUT_FILENO)
        guard errno != 0 else { return 0 }
        log.error("stdout cannot be written to: \(String(cString: strerror(errno)))")
        return 1
    }

    private func write(_ text: String, to descriptor: Int32) -> Int32 {
        Array(text.utf8).withUnsafeBytes { write($0, to: descriptor) }
    }

    /// Writes everything; 0, or an errno.
    private func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
        do throws(SystemError) { try writeAll(bytes, to: descriptor) } catch { return error.errno }
        return 0
    }
}
