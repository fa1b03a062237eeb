// swift-tools-version: 6.3
import PackageDescription

// The fuzzer around the targets of ../FuzzTargets; a package of its own, as all of it is built with sanitizers: see `run`.
let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "graft", path: "../..")],
  targets: [
    .executableTarget(
      name: "fuzz", dependencies: [.product(name: "FuzzTargets", package: "graft")],
      // libFuzzer brings the main function.
      swiftSettings: [.unsafeFlags(["-parse-as-library"])])
  ]
)
