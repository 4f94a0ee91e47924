#!/bin/bash
# dracut: takes the early helper of vfiogroupd and the list of reserved devices into the initramfs, where there are any.
# shellcheck disable=SC2154 # dracut sets initdir and moddir

check() {
    [[ -n $(/usr/bin/vfiogroupd --print-reservations) ]]
}

install() {
    mkdir -p "$initdir/etc/vfiogroupd"
    /usr/bin/vfiogroupd --print-reservations >"$initdir/etc/vfiogroupd/reservations"
    inst_simple /usr/lib/vfiogroupd/vfiogroupd-reserve
    # Before udev is started.
    inst_hook pre-udev 10 "$moddir/reserve.sh"
}
