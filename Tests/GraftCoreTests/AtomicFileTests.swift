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

  // MARK: - Links

  private func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/" + name, withDestinationPath: target)
  }

  @Test(arguments: ["real", "chain", "below/chain", "absolute"])
  func `appear where a link leads, also to where nothing stands yet`(name: String) throws {
    try Directory.create(folder + "/below")
    try link("chain", to: "below/chain")
    try link("below/chain", to: "../real")
    try link("absolute", to: folder + "/real")
    let links = ["absolute", "below", "chain"]
    #expect(Directory.isSame(folder + "/" + name, folder + "/real"))
    try Directory.checkWritable(folder + "/" + name)
    for bytes: [UInt8] in [[1], [2]] {
      try AtomicFile.write(bytes, to: folder + "/" + name)
      #expect(try Directory.entries(of: folder) == links + ["real"])
      #expect(try InputFile.contents(of: folder + "/real", atMost: 9) == bytes)
    }
    #expect(Directory.hasLink(at: folder + "/chain"))
    #expect(Directory.hasLink(at: folder + "/below/chain"))
    #expect(Directory.hasLink(at: folder + "/absolute"))
  }

  @Test func `don't take the place of links that lead nowhere`() throws {
    let path = folder + "/link"
    func error(for target: String) throws -> StorageError? {
      Directory.remove(path)
      try link("link", to: target)
      let error = #expect(throws: StorageError.self) { try AtomicFile.write([1], to: path) }
      #expect(try Directory.entries(of: folder) == ["link"])
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == target)
      return error
    }
    #expect(try error(for: "link") == StorageError(call: "readlink", errno: ELOOP, file: path))
    #expect(
      try error(for: "no/file")
        == StorageError(
          .notFound, file: folder + "/no/file",
          remedy: "there is no directory \(folder)/no"))
    #expect(
      try error(for: "no/")
        == StorageError(
          .notRegular(found: "the name of a directory"), file: path,
          remedy: "it is a symbolic link to \(folder)/no/"))
  }
}
