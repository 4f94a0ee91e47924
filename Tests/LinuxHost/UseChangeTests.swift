// Mounts and interfaces are followed: on this kernel, in namespaces of another process.

import EventLoop
import Foundation
import Testing
import TestSupport

@testable import LinuxHost

@Suite("Changes of what the host uses", .timeLimit(.minutes(15)))
struct UseChangeTests {
    init() throws { try EventLoop.main.runInBackground() }

    /// Whether this process may make mount namespaces.
    private static let canMount =
        geteuid() == 0 && FileManager.default.fileExists(atPath: "/usr/bin/unshare") && isPermitted()

    private static func isPermitted() -> Bool {
        let trial = Process()
        trial.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        trial.arguments = ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]
        trial.standardError = FileHandle.nullDevice
        do { try trial.run() } catch { return false }
        trial.waitUntilExit()
        return trial.terminationStatus == 0
    }

    @LoopActor private final class Count {
        var value = 0
    }

    @Test("every mount and unmount is told of, and silence is not", .enabled(if: canMount))
    @LoopActor func mounts() async throws {
        let folder = TemporaryFolder()
        let script = """
            set -e; cd "$1"
            while [ ! -e go1 ]; do sleep 0.02; done; mount -t tmpfs none /mnt; : > done1
            while [ ! -e go2 ]; do sleep 0.02; done; umount /mnt; : > done2
            while [ ! -e go3 ]; do sleep 0.02; done
            """
        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        child.arguments = ["-m", "--propagation", "private", "sh", "-c", script, "sh", folder.path]
        try child.run()
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/mnt")
        #expect(
            await waits {
                let link = "/proc/\(child.processIdentifier)/ns/mnt"
                return (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) != own
            })
        // unshare makes its mounts private once it is in the namespace, which is a change, too.
        try await EventLoop.main.sleep(for: .milliseconds(300))
        let changes = UseChanges(mountTables: ["/proc/\(child.processIdentifier)/mountinfo"], followsLinks: false)
        let count = Count()
        let following = EventLoop.main.spawn {
            while (try? await changes.next()) != nil { count.value += 1 }
        }
        try await EventLoop.main.sleep(for: .milliseconds(200))
        #expect(count.value == 0)
        for (go, done) in [("go1", "done1"), ("go2", "done2")] {
            let before = count.value
            folder.write(go, "")
            #expect(await waits { FileManager.default.fileExists(atPath: folder.path + "/" + done) })
            #expect(await waits { count.value > before }, "\(done) was told of")
            try await EventLoop.main.sleep(for: .milliseconds(200))
            #expect(count.value < before + 4, "a change is told of once, or for each of its parts")
        }
        folder.write("go3", "")
        child.waitUntilExit()
        following.cancel()
        await following.value
    }
}
