// The unit that a process runs in, from what the kernel says of its cgroups.

/// A unit of the system's service manager, with the slices that it is in.
public struct SystemUnit: Sendable, Equatable {
    /// A service or a scope, such as `libvirtd.service`.
    public var name: String
    /// The slices around it, the outermost first.
    public var slices: [String]

    /// The unit of a process; nil for one in no unit, or whose cgroup is not below the reader's.
    ///
    /// What a user's own service manager, or a container, makes below its unit is theirs to name, and counts for nothing:
    /// the unit is the first component of the path that is no slice, as for systemd itself (cg_path_get_unit).
    ///
    /// - Parameter text: the content of /proc/PID/cgroup, cgroups(7).
    public init?(cgroup text: String) {
        var unified: Substring?
        var named: Substring?
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[1] == "name=systemd" { named = fields[2] }
            if fields[0] == "0", fields[1].isEmpty { unified = fields[2] }
        }
        // With both, systemd uses its own hierarchy, and the unified one may be empty.
        guard let path = named ?? unified else { return nil }
        slices = []
        for component in path.split(separator: "/") {
            // systemd puts "_" before what would look like a file of the kernel's.
            let name = String(component.hasPrefix("_") ? component.dropFirst() : component)
            if name.hasSuffix(".slice") {
                slices.append(name)
                continue
            }
            guard name.hasSuffix(".service") || name.hasSuffix(".scope") else { return nil }
            self.name = name
            return
        }
        return nil
    }

    /// Whether it is what somebody calls by this name: the unit itself, the template that it is an instance of
    /// (`NAME@.service`), or a slice that it is in.
    public func isCalled(_ text: String) -> Bool {
        if text == name || slices.contains(text) { return true }
        guard let at = name.firstIndex(of: "@"), let dot = name.lastIndex(of: "."), at < dot else { return false }
        return text == name[...at] + name[dot...]
    }
}
