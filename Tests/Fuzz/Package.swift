// swift-tools-version: 6.3
import PackageDescription

// The fuzzer around the targets of ../FuzzTargets; a package of its own, as all of it is built with sanitizers: see `run`.
let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "graft", path: "../..")],
  targets: [
    .target(name: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: ["CFuzzer", .product(name: "FuzzTargets", package: "graft")],
      // libFuzzer has the main function: see Driver.c.
      swiftSettings: [.unsafeFlags(["-parse-as-library"])]),
  ]
)
