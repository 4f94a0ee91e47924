// Error numbers in words. glibc's *_np functions return constants, so they need no lock and no buffer.
#ifndef CLINUX_ERRORS_H
#define CLINUX_ERRORS_H

/// "No such file or directory"; never null.
const char *clinux_error_description(int error);
#endif
