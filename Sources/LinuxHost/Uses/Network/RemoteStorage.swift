// What a host has mounted or attached over its network, and from which server. No I/O.

import PCI

/// Something that is read and written over the network.
struct RemoteStorage: Hashable, Sendable {
    /// What it is, in words: "/srv (nfs4 from 192.0.2.5)".
    var text: String
    /// Where the server is; several for a cluster.
    var servers: [InternetAddress]
    /// The interface that it is bound to, where that is known.
    var interface: String?
    /// The World Wide Port Name of the Fibre Channel port that it goes through, as `fc_host` writes it.
    var port: String?

    /// Of a mounted file system: of NFS and SMB the kernel tells the server's address among the options (nfs_show_options
    /// in fs/nfs/super.c, cifs_show_options in fs/smb/client/cifsfs.c), of Ceph in the source.
    init?(_ mount: Mount) {
        switch mount.type {
        case "nfs", "nfs4", "cifs", "smb3":
            guard let option = mount.options.split(separator: ",").first(where: { $0.hasPrefix("addr=") }) else {
                return nil
            }
            let address = option.dropFirst("addr=".count)
            servers = [InternetAddress(address)].compactMap { $0 }
            interface = address.firstIndex(of: "%").map { String(address[address.index(after: $0)...]) }
            text = "\(mount.point) (\(mount.type) from \(address))"
        case "ceph":
            // "192.0.2.5:6789,[2001:db8::1]:3300:/folder"
            servers = mount.source.split(separator: ",").compactMap { Self.host(of: $0) }
            text = "\(mount.point) (ceph)"
        default: return nil
        }
        if servers.isEmpty { return nil }
    }

    /// Of a controller of NVMe over Fabrics: `transport` and `address` of its folder in /sys/class/nvme, such as
    /// "traddr=192.0.2.5,trsvcid=4420,src_addr=192.0.2.1" (nvmf_get_address in drivers/nvme/host/fabrics.c).
    init?(controller name: String, transport: String, address: String) {
        var parts: [Substring: Substring] = [:]
        for part in address.split(separator: ",") {
            guard let equals = part.firstIndex(of: "=") else { continue }
            parts[part[..<equals]] = part[part.index(after: equals)...]
        }
        guard ["tcp", "rdma", "fc"].contains(transport), let target = parts["traddr"] else { return nil }
        text = "\(name) (NVMe over Fabrics, \(transport), from \(target))"
        servers = [InternetAddress(target)].compactMap { $0 }
        interface = parts["host_iface"].map { String($0) }
        // "nn-0x20000090fac7c706:pn-0x10000090fac7c706"
        port =
            transport == "fc" ? parts["host_traddr"]?.split(separator: ":").last.map { String($0.dropFirst(3)) } : nil
        if servers.isEmpty, interface == nil, port == nil { return nil }
    }

    /// Of a connection of iSCSI whose session is software's, by the address that it was made to.
    init?(session name: String, target: String?, address: String) {
        guard let server = InternetAddress(address) else { return nil }
        text = "\(name) (iSCSI \(target ?? "target") at \(server))"
        servers = [server]
    }

    /// The address in front of a port and a path.
    private static func host(of text: Substring) -> InternetAddress? {
        if text.hasPrefix("[") { return InternetAddress(text.prefix { $0 != "]" } + "]") }
        return InternetAddress(text.prefix { $0 != ":" })
    }
}
