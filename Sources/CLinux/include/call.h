// The worker that makes one call into the kernel: what it is told, and what it answers. It waits on a socket for leave
// to make the call; when its parent dies before that, it ends without it.
#ifndef CLINUX_CALL_H
#define CLINUX_CALL_H
#include <stdint.h>

/// The calls, and which fields of `clinux_call` they use.
enum clinux_call_kind {
    /// Writes `text` to the file `path`.
    CLINUX_CALL_WRITE,
    /// Runs `modprobe -- text` from `path`, unless `folder` (a driver's) is there already.
    CLINUX_CALL_MODPROBE,
    /// Has systemd load a module: runs `systemctl start text` from `path`, and `folder` (the module's) is there then.
    CLINUX_CALL_START_MODPROBE,
    /// Opens the node `path` once its device number is the one in the attribute `text`, and passes it back. Where the
    /// name of the node has to be found, `folder` is a device's `vfio-dev`, which has one entry, and `path` is the
    /// folder of nodes.
    CLINUX_CALL_OPEN_NODE,
    /// The same, but the attribute may appear only when the node is opened: opening loads its module.
    CLINUX_CALL_OPEN_LOADING_NODE,
    /// Gives the node, found as for CLINUX_CALL_OPEN_NODE, to `owner`, `group` and `mode`; access control lists go.
    CLINUX_CALL_SET_PERMISSIONS,
    /// VFIO_GROUP_SET_CONTAINER of `files[0]`, the group, and `files[1]`.
    CLINUX_CALL_SET_CONTAINER,
    /// VFIO_SET_IOMMU of the container `files[0]`.
    CLINUX_CALL_SET_IOMMU,
    /// VFIO_GROUP_GET_DEVICE_FD of the group `files[0]` and the device's name `text`; passes a descriptor back.
    CLINUX_CALL_GET_DEVICE,
    /// VFIO_IOMMU_GET_INFO of the container `files[0]`; answers ranges.
    CLINUX_CALL_CONTAINER_RANGES,
    /// VFIO_DEVICE_BIND_IOMMUFD of the cdev `files[0]` and the iommufd `files[1]`.
    CLINUX_CALL_BIND_IOMMUFD,
    /// VFIO_DEVICE_ATTACH_IOMMUFD_PT of the cdev `files[0]` to the address space `number`.
    CLINUX_CALL_ATTACH,
    /// VFIO_DEVICE_DETACH_IOMMUFD_PT of the cdev `files[0]`.
    CLINUX_CALL_DETACH,
    /// VFIO_DEVICE_GET_INFO of the cdev `files[0]`; answers the number 1 when it is bound, 0 when it is not.
    CLINUX_CALL_IS_BOUND,
    /// VFIO_GROUP_GET_STATUS of the group `files[0]`; answers the number 1 when it is in a container, 0 when not.
    CLINUX_CALL_HAS_CONTAINER,
    /// IOMMU_IOAS_ALLOC of the iommufd `files[0]`; answers a number.
    CLINUX_CALL_ALLOCATE_IOAS,
    /// IOMMU_IOAS_IOVA_RANGES of the iommufd `files[0]` and the address space `number`; answers ranges.
    CLINUX_CALL_IOAS_RANGES,
    /// Closes `files[0]`, of which the parent lets go.
    CLINUX_CALL_CLOSE,
};

/// A call. What the pointers lead to is copied by fork(2), and need not outlive `clinux_start_call`.
struct clinux_call {
    enum clinux_call_kind kind;
    /// The parent's descriptors that the worker gets copies of; -1 for none.
    int files[2];
    uint32_t number;
    /// How long a call waits for its node, in milliseconds.
    uint32_t patience;
    uint32_t owner;
    uint32_t group;
    uint32_t mode;
    const char *path;
    const char *text;
    const char *folder;
};

/// I/O virtual addresses, both ends inclusive.
struct clinux_range {
    uint64_t first;
    uint64_t last;
};

/// The most ranges that a worker answers; IOMMUs have a handful.
#define CLINUX_RANGE_MAX 512

/// What a worker answers.
struct clinux_answer {
    /// errno of the call, 0 when it succeeded.
    int32_t error;
    uint32_t number;
    uint32_t range_count;
    uint32_t unused;
};

/// Forks a worker. It has no descriptor of the caller but those that the call names, and one end of a socket whose
/// other end, close-on-exec, is stored in `*socket`. It is in a session of its own, so that what a terminal sends to
/// the caller does not reach it; its name is vfiogroupd-call. Returns its pid, or -errno.
int clinux_start_call(const struct clinux_call *call, int *socket);

/// Whether this process and its children could load modules: not in a sandbox without CAP_SYS_MODULE.
int clinux_may_load_modules(void);

/// Lets a worker make its call. 0, or -errno.
int clinux_let_go(int socket);

/// Takes a worker's answer: 1; 0 when it has ended without one; -EAGAIN before either; another -errno.
/// `ranges` has room for CLINUX_RANGE_MAX; `*descriptor` is -1 where none was passed back.
int clinux_take_answer(int socket, struct clinux_answer *answer, struct clinux_range *ranges, int *descriptor);
#endif
