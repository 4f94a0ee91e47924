// Giving memory back that only the start of the process needed.
#ifndef CLINUX_RELEASE_H
#define CLINUX_RELEASE_H

/// Gives the heap's free pages back to the kernel, has long allocations go back as soon as they are freed from now on,
/// and lets go of the program's own pages that were mapped from its file and not written to: what is still used of them
/// comes back from the page cache when it is touched.
void clinux_release_memory(void);
#endif
