// The daemon's life from start to end. What it does, and in which order, is in Daemon.swift.

import EventLoop
import Glibc
import Systemd

// A client that vanishes is an error of the write to it, not the end of the daemon.
signal(SIGPIPE, SIG_IGN)

do throws(Options.Ending) {
    let options = try Options()
    do throws(LoopError) {
        exit(try EventLoop.main.run { await Daemon(options).run() })
    } catch {
        throw Options.Ending(code: 1, text: "vfiogroupd: the event loop cannot run: \(error)")
    }
} catch {
    let text = Array((error.text + "\n").utf8)
    _ = write(error.code == 0 ? STDOUT_FILENO : STDERR_FILENO, text, text.count)
    exit(error.code)
}
