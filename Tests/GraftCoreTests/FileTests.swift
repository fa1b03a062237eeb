import Foundation
import GraftCore
import TestSupport
import Testing

@Suite struct `Files being written` {
  private let scratch = TemporaryFolder()

  @Test func `a log on a full disk names itself`() throws {
    let file = try AppendedFile(path: "/dev/full")
    #expect(throws: StorageError(call: "write", errno: ENOSPC, file: "/dev/full")) {
      try file.append(Array("x".utf8))
    }
  }

  @Test func `one holds a directory at a time`() throws {
    let folder = scratch.path
    var first = try DirectoryLock(folder)
    #expect(first != nil)
    #expect(try DirectoryLock(folder) == nil)
    first = nil
    #expect(try DirectoryLock(folder) != nil)
    #expect(throws: StorageError(.notFound, file: folder + "/nowhere")) {
      try DirectoryLock(folder + "/nowhere")
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func `a number that isn't finite is found wherever it stands`(value: Float) throws {
    for place in [0, 15, 16, 31, 32, 36] {
      var elements = [Float](repeating: -Float.greatestFiniteMagnitude, count: 37)
      let shape = try Shape([37])
      #expect(try MemorySlice(copying: elements, shape).isFinite)
      elements[place] = value
      #expect(try !MemorySlice(copying: elements, shape).isFinite)
    }
  }

  @Test func `a directory behind a link is replaced where it stands`() throws {
    let folder = scratch.path
    try Directory.create(folder + "/real")
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/link", withDestinationPath: "real")
    let directory = try AtomicDirectory(path: folder + "/link/")
    try directory.write([1], named: "x")
    try directory.commit()
    #expect(try Directory.entries(of: folder) == ["link", "real"])
    #expect(try Directory.entries(of: folder + "/real") == ["x"])
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link") == "real")
  }
}
