// Reading the configuration anew, when a client or a signal says so.

import Config
import EventLoop
import Glibc
import Keeper
import Service
import Systemd

extension Daemon {
    /// Has the service read the configuration anew on demand; a simulation without files has nothing to read.
    func offerReload(of service: GroupService, _ keeper: Keeper) {
        guard options.simulate == nil || options.configuration != nil else { return }
        service.reload = { [self, unowned service, unowned keeper] (reserveAgain) throws(ConfigurationError) in
            try reload(service, keeper, reserveAgain: reserveAgain)
        }
    }

    /// Reads the configuration anew and takes it over. What is wrong is in the journal, too.
    private func reload(
        _ service: GroupService, _ keeper: Keeper, reserveAgain: Bool
    ) throws(ConfigurationError) -> Reconfiguration {
        tell(.reloading(microseconds: MonotonicTime.now.nanoseconds / 1000))
        // Good or bad, the daemon goes on.
        defer { tell(.ready, .status(keeper.statusLine)) }
        do throws(ConfigurationError) {
            let outcome = service.reconfigure(try configurationFiles.load(), reserveAgain: reserveAgain)
            let files = outcome.files.isEmpty ? "no file is there" : outcome.files.joined(separator: ", ")
            log.log(
                JournalMessage(
                    .configurationReloaded,
                    (["the configuration is reloaded (\(files))"] + outcome.nextStart + outcome.notes)
                        .joined(separator: "; ")))
            return outcome
        } catch {
            for mistake in error.mistakes { log.log(JournalMessage(.configurationRefused, "\(mistake)")) }
            log.error("the configuration has mistakes, and stays what it was")
            throw error
        }
    }

    /// Does what SIGHUP asks for.
    func reloadOnSignal(_ service: GroupService) {
        // What is wrong is in the journal.
        do throws(ConfigurationError) { _ = try service.reload?(false) } catch {}
    }
}
