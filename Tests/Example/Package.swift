// swift-tools-version: 6.2
// A launcher as somebody else's package has it: it knows vfiogroupd by a URL and a version alone. run.sh builds it.
import PackageDescription

let package = Package(
    name: "launcher",
    dependencies: [
        .package(
            url: Context.environment["VFIOGROUPD_URL"] ?? "https://github.com/vfiogroupd/vfiogroupd", from: "0.0.1")
    ],
    targets: [
        .executableTarget(
            name: "launcher", dependencies: [.product(name: "VFIOGroupClient", package: "vfiogroupd")])
    ]
)
