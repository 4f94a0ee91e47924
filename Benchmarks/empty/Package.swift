// swift-tools-version: 6.2
import PackageDescription

let package = Package(name: "empty", targets: [.executableTarget(name: "empty")], swiftLanguageModes: [.v6])
