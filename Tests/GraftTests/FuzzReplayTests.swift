import FuzzTargets
import GraftCore
import TestSupport
import Testing

/// What the fuzzer found once, and the seeds that it starts from, replayed; a broken promise would end the test run.
struct FuzzReplayTests {
  private static let failures = "Tests/Fuzz/Failures"

  /// All files below a folder, which needn't be there.
  private static func files(below folder: String) throws -> [String] {
    guard Directory.exists(at: Repository.path(folder)) else { return [] }
    return try Directory.entries(of: Repository.path(folder)).flatMap { name -> [String] in
      let path = folder + "/" + name
      return Directory.exists(at: Repository.path(path)) ? try files(below: path) : [path]
    }
  }

  @Test(arguments: FuzzTarget.all.map(\.name))
  func `seeds and past failures end, and keep their promises`(name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let seeds = try target.seeds.flatMap(Self.files)
    #expect(!seeds.isEmpty)
    for file in try seeds + Self.files(below: Self.failures + "/" + name) {
      target.run(try Repository.bytes(file))
    }
  }

  @Test func `every folder of failures belongs to a target`() throws {
    let names = Set(FuzzTarget.all.map(\.name))
    for folder in try Directory.entries(of: Repository.path(Self.failures))
    where folder != ".gitkeep" {
      #expect(names.contains(folder), "\(folder)")
    }
  }
}
