// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let testing: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "graft",
  products: [
    .library(name: "Graft", targets: ["Graft"]),
    .executable(name: "graft", targets: ["GraftCommand"]),
    .executable(name: "graft-benchmarks", targets: ["GraftBenchmarks"]),
    // For tests: preloaded into the command, and run by the fuzzer in Tests/Fuzz.
    .library(name: "FaultInjection", type: .dynamic, targets: ["FaultInjection"]),
    .library(name: "FuzzTargets", targets: ["FuzzTargets"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // System libraries
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // The nouns
    .target(name: "CSystem"),
    .target(name: "CProcess"),
    .target(name: "GraftCore", dependencies: ["CSystem"], swiftSettings: strict),

    // Arithmetic
    .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CKernels", linkerSettings: [.linkedLibrary("m")]),
    .target(
      name: "GraftKernels", dependencies: ["GraftCore", "CKernels", "COpenBLAS", "COneDNN"],
      swiftSettings: strict),
    .target(
      name: "GraftGraph", dependencies: ["GraftCore", "GraftKernels"], swiftSettings: strict),
    .target(
      name: "GraftAdapters", dependencies: ["GraftCore", "GraftKernels"], swiftSettings: strict),
    .target(
      name: "GraftModels", dependencies: ["GraftCore", "GraftKernels", "GraftGraph"],
      swiftSettings: strict),
    .target(
      name: "GraftTraining",
      dependencies: ["GraftCore", "GraftKernels", "GraftGraph", "GraftModels", "GraftAdapters"],
      swiftSettings: strict),

    // Storage
    .target(
      name: "GraftFormats", dependencies: ["GraftCore", "GraftKernels", "CZlib"],
      swiftSettings: strict),
    .target(
      name: "GraftHDF5", dependencies: ["GraftCore", "GraftFormats", "CHDF5", "CZstd"],
      swiftSettings: strict),

    // The facade and the command
    .target(
      name: "Graft",
      dependencies: [
        "GraftCore", "GraftKernels", "GraftGraph", "GraftAdapters", "GraftModels", "GraftTraining",
        "GraftFormats", "GraftHDF5",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "GraftCommand",
      dependencies: [
        "CProcess", "Graft",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "GraftBenchmarks",
      dependencies: [
        "Graft", "GraftCore", "GraftKernels", "GraftGraph", "GraftModels", "GraftTraining",
      ],
      swiftSettings: strict),

    // Tests
    .target(name: "FaultInjection", path: "Tests/FaultInjection"),
    .target(
      name: "FuzzTargets",
      dependencies: [
        "Graft", "GraftAdapters", "GraftCore", "GraftFormats", "GraftHDF5", "GraftModels",
      ],
      path: "Tests/FuzzTargets", swiftSettings: testing),
    .target(
      name: "TestSupport", dependencies: ["GraftCore"], path: "Tests/TestSupport",
      swiftSettings: testing),
    .testTarget(
      name: "GraftCoreTests", dependencies: ["GraftCore", "TestSupport"], swiftSettings: testing),
    .testTarget(
      name: "GraftKernelsTests", dependencies: ["GraftCore", "GraftKernels", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftFormatsTests",
      dependencies: ["GraftCore", "GraftFormats", "GraftKernels", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftHDF5Tests",
      dependencies: ["GraftCore", "GraftFormats", "GraftHDF5", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftAdaptersTests",
      dependencies: ["GraftCore", "GraftAdapters", "GraftKernels", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftGraphTests",
      dependencies: ["GraftCore", "GraftKernels", "GraftGraph", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftModelsTests",
      dependencies: ["GraftCore", "GraftKernels", "GraftGraph", "GraftModels", "TestSupport"],
      swiftSettings: testing),
    .testTarget(
      name: "GraftTrainingTests",
      dependencies: [
        "GraftCore", "GraftKernels", "GraftGraph", "GraftModels", "GraftAdapters", "GraftTraining",
        "TestSupport",
      ],
      swiftSettings: testing),
    .testTarget(
      name: "GraftTests",
      dependencies: [
        "Graft", "GraftCore", "GraftKernels", "GraftGraph", "GraftFormats", "GraftHDF5",
        "GraftModels", "GraftAdapters", "GraftTraining", "FuzzTargets", "TestSupport",
      ],
      swiftSettings: testing),
    .testTarget(
      name: "GraftCommandTests",
      dependencies: ["GraftCommand", "Graft", "GraftCore", "TestSupport"],
      swiftSettings: testing),
  ]
)
