// Where the tree of groups lies: beside the socket.

import Config
import Files
import Glibc
import GroupAPI
import Service
import Systemd

extension Daemon {
    /// Has the groups shown as folders, for people with a shell. The daemon serves without them, too.
    func keepTree(of service: GroupService, _ configuration: Configuration) {
        do throws(FileFailure) {
            let path = treeFolder(configuration)
            try service.keepTree(at: path) { [log] failure in
                log.warning("the groups below \(path) are not current: \(failure)")
            }
        } catch {
            log.warning("the groups are not shown as folders: \(error)")
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
