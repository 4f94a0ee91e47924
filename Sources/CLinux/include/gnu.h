// To be included first by every header of this module: all that Linux and glibc declare, but with fd_set as Swift's own
// Glibc module sees it.
#ifndef CLINUX_GNU_H
#define CLINUX_GNU_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>

// Swift builds its Glibc module without _GNU_SOURCE, and then the one member of fd_set has another name. A program that
// imports both modules does not compile ("fds_bits is not present in definition of fd_set"), though only in clean
// builds and on some orders of import.
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")
#endif
