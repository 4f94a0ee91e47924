// Reading the slots, /sys/bus/pci/slots.

import Files
import Inventory

extension SysfsScan {
    mutating func scanSlots(_ sys: borrowing Directory) {
        guard let folder = try? Directory("bus/pci/slots", below: sys) else { return }
        for name in (try? folder.names()) ?? [] {
            guard let slot = try? Directory(name, below: folder),
                let address = (try? slot.text("address")).flatMap({ Slot.Address($0) })
            else { continue }
            slots.append(Slot(name: name, address: address))
        }
    }
}
