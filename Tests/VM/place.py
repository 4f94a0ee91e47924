"""What kind of machine a test runs in."""

import dataclasses

from kernels import Kernel


@dataclasses.dataclass(frozen=True)
class Place:
    """A kernel, the devices that it finds, what stands between them and memory, and what runs on it."""

    kernel: Kernel
    topology: str
    iommu: str
    # `busybox` alone, or one of the Debians of `disk`.
    userspace: str

    @property
    def has_systemd(self) -> bool:
        return self.userspace != "busybox"

    def __str__(self) -> str:
        words = [self.kernel.name, self.topology, self.iommu]
        return " ".join(words if self.userspace == "busybox" else [*words, self.userspace])
