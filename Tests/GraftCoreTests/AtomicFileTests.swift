import Foundation
import GraftCore
import TestSupport
import Testing

@Suite final class `Files that appear whole` {
  private let scratch = TemporaryFolder()
  private var folder: String { scratch.path }

  private func files(_ names: [String]) throws -> [AtomicFile] {
    try names.map { name in
      let file = try AtomicFile(path: folder + "/" + name)
      try file.output.write(Array(name.utf8), at: 0)
      return file
    }
  }

  @Test func `appear together`() throws {
    try AtomicFile.commit(files(["a", "b", "c"]))
    #expect(try Directory.entries(of: folder) == ["a", "b", "c"])
    for name in ["a", "b", "c"] {
      #expect(try InputFile.contents(of: folder + "/" + name, atMost: 9) == Array(name.utf8))
    }
    try AtomicFile.commit([])
  }

  @Test(arguments: ["a", "b", "c"])
  func `disappear together where one can't appear`(name: String) throws {
    do {
      let files = try files(["a", "b", "c"])
      // A file doesn't take a directory's place.
      try Directory.create(folder + "/" + name)
      let error = #expect(throws: StorageError.self) { try AtomicFile.commit(files) }
      #expect(error?.file == folder + "/" + name)
    }
    #expect(try Directory.entries(of: folder) == [name])
  }

  @Test func `stay as they are where they have the same bytes`() throws {
    let path = folder + "/x"
    func identity() throws -> FileIdentity { try InputFile(path: path).identity }
    try AtomicFile.update([1, 2], at: path)
    let first = try identity()
    try AtomicFile.update([1, 2], at: path)
    #expect(try identity() == first)
    for bytes: [UInt8] in [[1, 3], [1], [1, 2, 3], []] {
      try AtomicFile.update(bytes, at: path)
      #expect(try InputFile.contents(of: path, atMost: 9) == bytes)
    }
  }

  @Test func `folders below one are made`() throws {
    try Directory.create("a/b/c", below: folder)
    try Directory.create("a/b/d", below: folder)
    try Directory.create("", below: folder)
    #expect(try Directory.entries(of: folder + "/a/b") == ["c", "d"])
  }
}
