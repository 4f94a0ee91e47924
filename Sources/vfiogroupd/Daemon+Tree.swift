// Where the tree of groups lies: beside the socket.

import Config
import Files
import Glibc
import GroupAPI
import GroupTree
import Keeper
import Systemd

extension Daemon {
    /// Has the groups shown as folders, for people with a shell. The daemon serves without them, too.
    func keepTree(of keeper: Keeper, _ configuration: Configuration) -> GroupTree? {
        let path = treeFolder(configuration)
        // A machine that is not this one must not lead into this one's devices.
        let sysfs = options.simulate == nil ? "/sys" : "simulated/sys"
        do throws(FileFailure) {
            return try GroupTree(of: keeper, at: path, sysfs: sysfs) { [log] failure in
                log.warning("the groups below \(path) are not current: \(failure)")
            }
        } catch {
            log.warning("the groups are not shown as folders: \(error)")
            return nil
        }
    }

    /// `groups` beside a socket of the usual name; of any other its path with `.groups`, since there may be several in
    /// one folder.
    private func treeFolder(_ configuration: Configuration) -> String {
        if let socket = options.socket ?? configuration.socket {
            let usual = "/" + SocketPath.fileName
            return socket.hasSuffix(usual) ? socket.dropLast(usual.count) + "/groups" : socket + ".groups"
        }
        let isOfSystem = options.simulate == nil && geteuid() == 0
        return (isOfSystem ? "/run/vfiogroupd" : SocketPath.privateFolder()) + "/groups"
    }
}
