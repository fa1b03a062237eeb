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

  /// The files of a place where seeds are: a folder, or `FOLDER/**END`.
  private static func seeds(in place: String) throws -> [String] {
    let parts = place.split(separator: "/**", maxSplits: 1).map(String.init)
    return try files(below: parts[0]).filter { parts.count < 2 || $0.hasSuffix(parts[1]) }
  }

  @Test(arguments: FuzzTarget.all.map(\.name))
  func `seeds and past failures end, and keep their promises`(name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let places = try target.seeds.map(Self.seeds)
    #expect(places.allSatisfy { !$0.isEmpty })
    for file in try places.joined() + Self.files(below: Self.failures + "/" + name) {
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
