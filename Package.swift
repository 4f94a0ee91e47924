// swift-tools-version: 6.2
import PackageDescription

/// What every target of ours is built with: warnings are errors, and an async function runs where its caller runs,
/// so that nothing leaves the daemon's one thread by accident.
let common: [SwiftSetting] = [
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// For modules without hot paths: the daemon stays in memory, and most of its text is in them. The flag is an unsafe one,
/// which products that others depend on by version may have since tools version 6.2, and not with an older one above.
let small: [SwiftSetting] = [.unsafeFlags(["-Osize"], .when(configuration: .release))]

/// For programs. Nothing loads them as libraries, so that the names of what is public need not be kept; functions that came
/// out the same are kept once.
let compact: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--no-export-dynamic", "-Xlinker", "--icf=safe"], .when(configuration: .release))
]

/// A module: a library target that imports only modules listed above it.
func module(
    _ name: String, _ imports: [Target.Dependency] = [], resources: [Resource]? = nil, exclude: [String] = [],
    _ settings: [SwiftSetting] = []
) -> Target {
    .target(name: name, dependencies: imports, exclude: exclude, resources: resources, swiftSettings: common + settings)
}

/// The tests of a module, in Tests/MODULE.
func tests(_ module: String, _ imports: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(module)Tests",
        dependencies: [.byName(name: module)] + imports,
        path: "Tests/\(module)",
        exclude: exclude,
        swiftSettings: common
    )
}

let package = Package(
    name: "vfiogroupd",
    products: [
        .executable(name: "vfiogroupd", targets: ["vfiogroupd"]),
        .executable(name: "vfiogroupctl", targets: ["vfiogroupctl"]),
        .executable(name: "varlink-generate", targets: ["varlink-generate"]),
        .library(name: "Varlink", targets: ["Varlink", "EventLoop", "JSON"]),
        .library(name: "GroupAPI", targets: ["GroupAPI"]),
        // With the types of its calls, which a program imports that names them.
        .library(name: "VFIOGroupClient", targets: ["VFIOGroupClient", "GroupAPI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        .target(name: "CLinux"),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        module("Files", ["CLinux"]),
        module("EventLoop", ["CLinux"]),
        module("JSON"),
        module("PCI"),
        module("Varlink", ["CLinux", "EventLoop", "JSON"], exclude: ["Service/org.varlink.service.varlink"]),
        module(
            "GroupAPI", ["JSON", "Varlink"],
            exclude: [
                "io.vfiogroupd.Claims.varlink", "io.vfiogroupd.Groups.varlink", "io.vfiogroupd.Manager.varlink",
                "io.vfiogroupd.Simulation.varlink",
            ], small),
        module("VFIOGroupClient", ["EventLoop", "JSON", "Varlink", "GroupAPI"]),
        module("Inventory", ["PCI"]),
        module("Host", ["CLinux", "Files", "EventLoop", "PCI", "Inventory"], small),
        module("LinuxHost", ["CLinux", "Files", "EventLoop", "PCI", "Inventory", "Host"], small),
        module("SimulatedHost", ["CLinux", "Files", "EventLoop", "PCI", "Inventory", "Host"], small),
        module(
            "HostSnapshot",
            ["Files", "EventLoop", "JSON", "PCI", "Varlink", "GroupAPI", "Inventory", "Host", "SimulatedHost"],
            resources: [.embedInCode("Resources/demo.json")], small),
        module("Grouping", ["PCI", "Inventory"], small),
        module("Registry", ["PCI", "Inventory", "Host", "Grouping"], small),
        module(
            "Takeover",
            ["CLinux", "Files", "EventLoop", "JSON", "PCI", "Varlink", "Inventory", "Host", "Grouping", "Registry"],
            exclude: ["Journal/Journal.varlink"], small),
        module("Systemd", ["CLinux", "CSystemd", "EventLoop"], small),
        module("Config", ["Files", "PCI", "Grouping"], small),
        module(
            "Keeper",
            [
                "Files", "EventLoop", "JSON", "PCI", "Inventory", "Host", "Grouping", "Registry", "Takeover", "Systemd",
                "Config",
            ], small),
        module(
            "GroupTree",
            ["CLinux", "Files", "EventLoop", "PCI", "Inventory", "Host", "Grouping", "Registry", "Keeper"], small),
        module(
            "Service",
            [
                "CLinux", "Files", "EventLoop", "JSON", "PCI", "Varlink", "GroupAPI", "Inventory", "Host",
                "SimulatedHost", "HostSnapshot", "Grouping", "Registry", "Takeover", "Systemd", "Config", "Keeper",
            ], small),
        .executableTarget(name: "varlink-generate", dependencies: ["Files", "Varlink"], swiftSettings: common),
        .executableTarget(
            name: "vfiogroupd",
            dependencies: [
                "CLinux", "Files", "EventLoop", "JSON", "Varlink", "GroupAPI", "Inventory", "Host", "LinuxHost",
                "SimulatedHost", "HostSnapshot", "Grouping", "Registry", "Systemd", "Config", "Takeover", "Keeper",
                "GroupTree", "Service",
            ],
            swiftSettings: common + small,
            linkerSettings: compact
        ),
        .executableTarget(
            name: "vfiogroupctl",
            dependencies: [
                "CLinux", "Files", "EventLoop", "JSON", "PCI", "Varlink", "GroupAPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: common,
            linkerSettings: compact
        ),
        // The protocol's own conformance test, and a server of one process for tests to look at from outside.
        .executableTarget(
            name: "varlink-certification",
            dependencies: ["CLinux", "EventLoop", "JSON", "Varlink"],
            path: "Tests/Support/varlink-certification",
            exclude: ["org.varlink.certification.varlink"],
            swiftSettings: common
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                "EventLoop", "Files", "GroupAPI", "Grouping", "Inventory", "Host", "LinuxHost", "SimulatedHost",
                "HostSnapshot",
                "JSON", "Keeper", "PCI", "Registry", "Takeover",
            ], path: "Tests/Support",
            exclude: ["varlink-certification"], swiftSettings: common),
        tests("EventLoop", ["CLinux"]),
        tests("JSON"),
        tests("PCI", ["TestSupport"]),
        tests(
            "Varlink", ["TestSupport", "CLinux", "EventLoop", "JSON", "varlink-generate", "varlink-certification"],
            exclude: ["Support/org.example.test.varlink"]
        ),
        tests("GroupAPI", ["TestSupport", "Varlink", "varlink-generate"]),
        tests(
            "VFIOGroupClient", ["TestSupport", "GroupAPI", "vfiogroupd", "vfiogroupctl", "varlink-certification"]),
        tests(
            "LinuxHost",
            [
                "TestSupport", "CLinux", "Files", "EventLoop", "GroupAPI", "JSON", "PCI", "Inventory", "Host",
                "HostSnapshot",
            ]),
        tests(
            "SimulatedHost",
            [
                "TestSupport", "EventLoop", "JSON", "PCI", "Inventory", "Host", "LinuxHost", "HostSnapshot",
            ]),
        tests(
            "HostSnapshot",
            ["TestSupport", "EventLoop", "GroupAPI", "JSON", "PCI", "Inventory", "Host", "LinuxHost", "SimulatedHost"]),
        tests(
            "Grouping",
            ["TestSupport", "EventLoop", "Inventory", "Host", "LinuxHost", "SimulatedHost", "HostSnapshot", "PCI"]),
        tests(
            "Registry",
            [
                "TestSupport", "EventLoop", "Grouping", "Inventory", "Host", "LinuxHost", "SimulatedHost",
                "HostSnapshot", "PCI",
            ]),
        tests(
            "Takeover",
            [
                "TestSupport", "Files", "EventLoop", "Grouping", "Inventory", "Host", "LinuxHost", "SimulatedHost",
                "HostSnapshot", "JSON", "PCI", "Registry",
            ]),
        tests("Systemd", ["CLinux", "EventLoop"]),
        tests("Config", ["PCI"]),
        tests(
            "Keeper",
            [
                "TestSupport", "EventLoop", "Grouping", "Inventory", "Host", "PCI", "Registry", "SimulatedHost",
                "Takeover",
            ]),
        tests(
            "GroupTree",
            [
                "TestSupport", "EventLoop", "Files", "Grouping", "Host", "Inventory", "Keeper", "Registry",
                "SimulatedHost",
            ]),
        tests(
            "Service",
            [
                "TestSupport", "Config", "Files", "EventLoop", "GroupAPI", "Grouping", "Inventory", "Host", "LinuxHost",
                "SimulatedHost", "HostSnapshot", "JSON", "PCI", "Registry",
                "Systemd", "Takeover", "Keeper", "Varlink",
            ]),
        tests(
            "vfiogroupctl",
            [
                "TestSupport", "EventLoop", "GroupAPI", "JSON", "Varlink",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "TestSupport", "EventLoop", "GroupAPI", "JSON", "Varlink", "vfiogroupd", "vfiogroupctl",
            ],
            path: "Tests/Daemon",
            swiftSettings: common
        ),
        // What lies in systemd and config beside the programs.
        .testTarget(
            name: "PackagingTests", dependencies: ["TestSupport", "vfiogroupd", "vfiogroupctl"],
            path: "Tests/Packaging", swiftSettings: common),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzers are for `make fuzz` alone, which builds every module anew for them: libFuzzer brings a main of its own.
if Context.environment["VFIOGROUPD_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "vfiogroupd-fuzz",
            dependencies: [
                "TestSupport", "Config", "GroupAPI", "Grouping", "Inventory", "Host", "LinuxHost", "SimulatedHost",
                "HostSnapshot", "JSON", "PCI", "Registry", "Takeover",
                "Varlink",
            ],
            path: "Tests/Fuzz/Sources",
            swiftSettings: common + [.unsafeFlags(["-parse-as-library"])]
        ))
}

// The plugin is for `make docs` alone.
if Context.environment["VFIOGROUPD_DOCC"] != nil {
    package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"))
}
