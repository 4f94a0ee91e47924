// Suspend and hibernation. vfio takes no part in them (drivers/vfio/pci/vfio_pci_core.c has runtime power management
// alone): the kernel saves and restores the configuration space, and whatever else was in a device is lost. Its user is
// not told by the kernel, so it is told here.

import EventLoop
import Host

extension Takeover {
    /// Tells of every claim when the host slept since it was last looked.
    func noticeSleep() {
        let now = host.timeAsleep
        // Two clocks are never read at once.
        guard now - timeAsleep >= .seconds(1) else { return }
        let seconds = (now - timeAsleep).components.seconds
        timeAsleep = now
        for claim in claims.values.sorted(by: { $0.id < $1.id }) {
            let remedy =
                claim.consumer == nil
                ? "nobody used its devices, and they are still held"
                : "its devices lost what was in them; restart the program that uses them"
            let cause = "the host slept for \(seconds) s while it was claimed: \(remedy)"
            report("claim \(claim.id): \(cause)")
            publish(.changed, claim, cause: cause)
        }
    }
}
