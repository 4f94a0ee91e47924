// What the calls of a worker share. All of it runs in a forked child of a program that may have had other threads: only
// async-signal-safe functions, no malloc, no stdio.
#ifndef CLINUX_CALLS_H
#define CLINUX_CALLS_H
#include "call.h"

/// What a worker has to say; `descriptor` is passed back where it is not negative.
struct clinux_result {
    struct clinux_answer answer;
    struct clinux_range ranges[CLINUX_RANGE_MAX];
    int descriptor;
};

// Each makes a call, and returns 0 or an errno.
int clinux_call_write(const struct clinux_call *call);
int clinux_call_modprobe(const struct clinux_call *call);
int clinux_call_start_modprobe(const struct clinux_call *call);
int clinux_call_node(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_set_container(const struct clinux_call *call);
int clinux_call_set_iommu(const struct clinux_call *call);
int clinux_call_get_device(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_container_ranges(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_bind_iommufd(const struct clinux_call *call);
int clinux_call_attach(const struct clinux_call *call);
int clinux_call_detach(const struct clinux_call *call);
int clinux_call_is_bound(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_has_container(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_allocate_ioas(const struct clinux_call *call, struct clinux_result *result);
int clinux_call_ioas_ranges(const struct clinux_call *call, struct clinux_result *result);

/// Adds a range; ranges that are empty or too many make EMSGSIZE or are left out.
int clinux_add_range(struct clinux_result *result, uint64_t first, uint64_t last);
#endif
