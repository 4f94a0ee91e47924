// The memory of the last boot: what the journal says of it, and where it lies.

import Config
import Files
import Glibc
import GroupAPI
import Keeper
import Registry
import Systemd

extension Daemon {
    /// How many differences the journal gets; all are in GetStatus.
    private static let mostTold = 20

    /// Compares this boot with the last one. The daemon serves without its memory, too.
    func rememberBoot(_ keeper: Keeper, _ configuration: Configuration) {
        guard let folder = stateFolder(configuration) else { return }
        do throws(FileFailure) {
            let problem: (String) -> Void = { log.warning("\($0)") }
            guard let comparison = try keeper.rememberBoot(in: BootMemory(path: folder), onProblem: problem) else {
                return
            }
            for change in comparison.changes.prefix(Self.mostTold) {
                log.log(
                    JournalMessage(
                        .bootDifference,
                        "since the last boot: \(change.sentence)\(change.cause.map { " (\($0))" } ?? "")",
                        change.groups.map { .init(.group, $0) }))
            }
            if comparison.changes.count > Self.mostTold {
                log.notice(
                    "since the last boot: \(comparison.changes.count - Self.mostTold) more differences; "
                        + "vfiogroupctl status lists them")
            }
        } catch {
            log.warning("what was known of the last boot cannot be used: \(error)")
        }
    }

    /// What came and went in this boot, for the next one.
    func leaveMemory(of keeper: Keeper) {
        do throws(FileFailure) { try keeper.updateMemory() } catch {
            log.warning("the next boot will not know this one: \(error)")
        }
    }

    /// The state directory; nil in a simulation, which has no boots, unless one is configured.
    private func stateFolder(_ configuration: Configuration) -> String? {
        if let folder = configuration.stateDirectory { return folder }
        guard options.simulate == nil else { return nil }
        guard geteuid() == 0 else {
            let folder = SocketPath.privateFolder()
            mkdir(folder, 0o700)
            return SocketPath.isOwn(folder) ? folder + "/state" : nil
        }
        return Configuration.defaultStateDirectory
    }
}
