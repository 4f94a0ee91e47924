// From where the host is looked at. In a container the process 1 of /proc is the container's, with the container's mounts:
// the disk that the host lives on would look free.

import Files
import Glibc

/// What /proc shows processes of.
enum Viewpoint {
    /// The number of the first PID namespace, the host's own (PROC_PID_INIT_INO in include/linux/proc_ns.h, and since Linux
    /// 6.18 PID_NS_INIT_INO in include/uapi/linux/nsfs.h).
    private static let firstNamespace = "pid:[\(UInt32(0xeffffffc))]"

    /// Why what is seen in `proc` need not be what the host does; nil where it is.
    static func doubt(_ proc: borrowing Directory) -> String? {
        let namespace: String
        do throws(SystemError) { namespace = try proc.link("1/ns/pid") } catch {
            // A kernel without such namespaces has the folder, and shows all processes.
            if error.errno == ENOENT, proc.has("1/ns") { return nil }
            if error.errno == ENOENT {
                return "/proc does not show process 1: run vfiogroupd on the host as root, and let it see all processes"
                    + " (no hidepid=, no ProtectProc=)"
            }
            return "it cannot be read whether /proc shows the host's processes (/proc/1/ns/pid: "
                + "\(errorText(error.errno))): run vfiogroupd on the host, as root with CAP_SYS_PTRACE"
        }
        guard namespace != firstNamespace else { return nil }
        return
            "vfiogroupd sees the processes of a container, not the host's: run it on the host, or give the container the "
            + "host's PID namespace (docker run --pid=host; hostPID: true in Kubernetes)"
    }
}
