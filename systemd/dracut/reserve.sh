#!/bin/sh
/usr/lib/vfiogroupd/vfiogroupd-reserve --kernel-log /etc/vfiogroupd/reservations
