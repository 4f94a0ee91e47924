// Resource limits of this process.
#ifndef CLINUX_RESOURCES_H
#define CLINUX_RESOURCES_H

/// Raises the soft limit of open descriptors to the hard one (setrlimit(2)): the soft one is low for the sake of programs
/// that use select(2).
void clinux_raise_descriptor_limit(void);
#endif
