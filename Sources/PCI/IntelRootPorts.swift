// Intel chipset root ports that keep what isolates in registers of their own: some without an ACS capability, some whose
// capability has 32-bit registers. The lists are the kernel's (drivers/pci/quirks.c: pci_quirk_intel_pch_acs_ids,
// pci_quirk_intel_spt_pch_acs_match).

extension ConfigSpace {
    /// Whether the registers of the ACS capability are double words here, the control register at +8 instead of +6:
    /// the root ports of the 100 and 200 series (Intel document 332691, erratum 23). lspci shows the wrong word.
    func hasWideAccessControl(_ express: Reading<PCIExpress>) -> Bool {
        guard express.value?.kind == .rootPort, word(0x00) == 0x8086, let device = word(0x02) else { return false }
        switch device {
        case 0xa110...0xa11f, 0xa167...0xa16a, 0xa290...0xa29f, 0xa2e7...0xa2ee, 0x9d10...0x9d1b: return true
        default: return false
        }
    }

    /// IRBNCE, bit 26 of the register MPC at 0xd8: the kernel sets it when it switches on the isolation of a root port
    /// that has no ACS (pci_quirk_enable_intel_rp_mpc_acs). Absent where the function is no such port.
    func invalidBusNumberCheck(_ express: Reading<PCIExpress>) -> Reading<Bool> {
        guard word(0x00) == 0x8086, let device = word(0x02) else { return .absent }
        switch device {
        case 0x3b42...0x3b51, 0x1c10...0x1c1f, 0x1e10...0x1e1f, 0x8c10...0x8c1f, 0x9c10...0x9c1b, 0x9c90...0x9c9b: break
        case 0x1d10...0x1d1e where device % 2 == 0, 0x8c90...0x8c9e where device % 2 == 0, 0x8d10...0x8d1e: break
        default: return .absent
        }
        switch express {
        case .present(let express) where express.kind == .rootPort:
            return doubleWord(0xd8).map { .present($0 & 1 << 26 != 0) } ?? .unknown(.headerOnly)
        case .present, .absent: return .absent
        case .unknown(let reason): return .unknown(reason)
        }
    }
}
