// How block devices are called where people read of them: a number says little, and the name that was given says what
// to stop. No I/O.

extension BlockDevice {
    /// Its name in the kernel, and what it is: "dm-3 (the logical volume vg/home)".
    var label: String { detail.map { "\(name) (\($0))" } ?? name }

    private var detail: String? {
        if let array {
            // Members that wait for more, or for somebody who starts it (array_state_show in drivers/md/md.c).
            if array.state == "inactive" || array.state == "clear" { return "an array that does not run" }
            return array.level.isEmpty ? nil : array.level
        }
        guard let mapperID, let mapperName else { return mapperName }
        // The owner of a device is the beginning of its UUID (libdm, DM_UUID).
        if let volume = logicalVolume { return "the logical volume \(volume.group)/\(volume.name)" }
        if mapperID.hasPrefix("CRYPT-") { return "encrypted, \(mapperName)" }
        if mapperID.hasPrefix("mpath-") { return "multipath, \(mapperName)" }
        return mapperName
    }

    /// The volume of LVM that it is.
    var logicalVolume: LogicalVolume? {
        guard let mapperID, mapperID.hasPrefix("LVM-") else { return nil }
        return mapperName.flatMap { LogicalVolume(mapperName: $0) }
    }
}

/// A volume of LVM.
struct LogicalVolume: Equatable, Sendable {
    var group: String
    var name: String

    /// By its name below /dev/mapper: the group, a hyphen, the volume, and for what is inside of one another hyphen and
    /// a layer. Hyphens of the names themselves are doubled (dm_build_dm_name in lvm2's libdm).
    init?(mapperName: String) {
        var parts = [""]
        var rest = Substring(mapperName)
        while let letter = rest.popFirst() {
            if letter != "-" {
                parts[parts.count - 1].append(letter)
            } else if rest.first == "-" {
                rest = rest.dropFirst()
                parts[parts.count - 1].append("-")
            } else {
                parts.append("")
            }
        }
        guard parts.count >= 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        (group, name) = (parts[0], parts[1])
    }

    /// Its name below /dev/mapper.
    init(group: String, name: String) { (self.group, self.name) = (group, name) }

    var mapperName: String {
        [group, name].map { $0.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "--") }
            .joined(separator: "-")
    }
}
